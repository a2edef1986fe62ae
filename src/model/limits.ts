/**
 * Defaults and bounds that several folders share. A bound protects the memory of a service, or the reader of
 * a hostile file. Raising a bound changes the format or a promise, so bounds are not options.
 */
const KIB = 1024
const MIB = 1024 * KIB

/** Default number of records in a ring. */
export const RING_CAPACITY_DEFAULT = 2048
/** Default number of records in a `BufferingAppender`. */
export const BUFFER_CAPACITY_DEFAULT = 16_384

/** Default timeout of `waitFor`. */
export const WAIT_MS_DEFAULT = 1_000

/**
 * Longest distance between two records for which a paced replay waits. Beyond it, the clock was set or the
 * system was idle.
 */
export const CLOCK_JUMP_MS = 3_600_000

/** Longest lead of a replay's clock over its waits. Beyond it, the clock was set or is wrong. */
export const CLOCK_STEP_MS_MAX = 86_400_000

/**
 * Maximum number of records that a `TeeAppender` keeps for its slowest child. Older records become a counted
 * gap of that child.
 */
export const TEE_QUEUE_RECORDS_MAX = 16_384

/** Maximum depth of arrays and maps in `data`; a deeper value becomes a marker. */
export const DATA_DEPTH_MAX = 32
/** Maximum depth of a state that is compared or shown: recursion to this depth fits Node's stack. */
export const STATE_DEPTH_MAX = 256
/** Maximum size of one record's `data` in bytes; a value that does not fit becomes a marker. */
export const DATA_BYTES_MAX = MIB
/** Maximum size of packed `data` in bytes, with room for headers. Readers decode no more. */
export const PACKED_DATA_BYTES_MAX = 4 * DATA_BYTES_MAX
/** Maximum depth of packed `data` that a reader decodes: more than any writer creates. */
export const PACKED_DEPTH_MAX = 2 * DATA_DEPTH_MAX
/**
 * Maximum number of texts, keys, maps, arrays, bytes, dates and wide integers in one `data` that a reader
 * decodes. A canonical value of {@link DATA_BYTES_MAX} holds fewer, because each counts at least 5 bytes.
 */
export const DATA_OBJECTS_MAX = 2 ** 18
/** Maximum length of a message in UTF-16 units; a longer message is cut, and its end notes the cut. */
export const MESSAGE_LENGTH_MAX = 256 * KIB
/** Maximum length of a kind or a string id in UTF-16 units; longer values are refused. */
export const NAME_LENGTH_MAX = 256

/** Maximum number of records in one `publishBatch`. */
export const BATCH_RECORDS_MAX = 1024
/** Maximum size of one `publishBatch` in bytes, as the ring estimates it. */
export const BATCH_BYTES_MAX = MIB

/** Default maximum depth of publishing from within listeners. */
export const NESTED_DEPTH_DEFAULT = 10_000
/** Default maximum number of nested deliveries that one outermost publish may cause. */
export const NESTED_DELIVERIES_DEFAULT = 65_536

/** Default time that `close` waits for an unresponsive appender, handler or source. */
export const CLOSE_TIMEOUT_MS_DEFAULT = 3_000
/** Default time that closing a `SourceManager` waits for a source to end, and then for a slow appender. */
export const SOURCE_CLOSE_TIMEOUT_MS_DEFAULT = 5_000
/** Time that `close` waits for a file or a cluster. Both have bounds of their own. */
export const SLOW_CLOSE_TIMEOUT_MS = 30_000
/** Default time that `closeOnSignal` waits for the application to end by itself. */
export const DRAIN_TIMEOUT_MS_DEFAULT = 10_000

/** First and longest wait before a failed append or write is retried. */
export const RETRY_MS_MIN = 50
export const RETRY_MS_MAX = 5_000
/** First wait of a replay before it retries. Longer than {@link RETRY_MS_MIN}: an appender that fails retries by itself first. */
export const REPLAY_RETRY_MS_MIN = 100

/** Default maximum number of unwritten bytes that a `FileChainAppender` holds while its disk fails. */
export const PENDING_BYTES_DEFAULT = 16 * MIB

/** Default size of a file in a chain with retention. */
export const ROTATE_BYTES_DEFAULT = 64 * MIB

/**
 * Highest seq, file offset or count that is decoded from a file, accepted from outside, or assigned by a
 * writer. It is 2^32 below the highest exact number, so that arithmetic with a few more records stays exact.
 */
export const SEQ_MAX = 2 ** 53 - 1 - 2 ** 32
/** Highest epoch and segment number. Both have 32 bits in a file. */
export const EPOCH_MAX = 2 ** 32 - 1 - 2 ** 16

/** Defaults for the number of samples in the queue of a `SourceManager` and for their bytes. */
export const QUEUE_SAMPLES_DEFAULT = 500_000
export const QUEUE_BYTES_DEFAULT = 256 * MIB
/** Maximum number of sources that one manager archives. */
export const SOURCES_MAX = 50_000
/** Maximum number of extra fields and aliases of one source: the registry holds them in one record. */
export const SOURCE_NAMES_MAX = 256
/**
 * Defaults for the time in which a source must subscribe or answer, and for the wait before a failed source
 * is retried.
 */
export const CONNECT_TIMEOUT_MS_DEFAULT = 10_000
export const SOURCE_RETRY_MS_DEFAULT = 5_000
/** Longest wait before an extra field of a source is tried again. */
export const FIELD_RETRY_MS_MAX = 60_000
/** Bounds of a source's own time: not before 1991, and at most half an hour from the clock. */
export const SAMPLE_TIME_MIN_MS = 662_688_000_000
export const SAMPLE_TIME_WINDOW_MS = 1_800_000
/** A source without a sample for this long is silent. */
export const SILENT_MS = 3_600_000
