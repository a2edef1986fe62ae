/**
 * Defaults and bounds that several folders share. A bound limits the memory use of a service, or protects a
 * reader against a hostile file. Bounds are not options, because a higher bound would change the format or a
 * guarantee.
 */
const KIB = 1024
const MIB = 1024 * KIB

/** Default maximum number of records in a ring. */
export const RING_CAPACITY_DEFAULT = 2048
/** Default maximum number of records in a `BufferingAppender`. */
export const BUFFER_CAPACITY_DEFAULT = 16_384

/** Default timeout of `waitFor`. */
export const WAIT_MS_DEFAULT = 1_000

/**
 * Shortest pause between two records that a paced replay skips. Such a pause means that the clock was
 * adjusted or the system was idle.
 */
export const CLOCK_JUMP_MS = 3_600_000

/**
 * Maximum time by which a replay's clock may advance beyond the time that the replay waited. A clock that
 * advances further was adjusted or is wrong.
 */
export const CLOCK_STEP_MS_MAX = 86_400_000

/**
 * Maximum number of records that a `TeeAppender` keeps for its slowest child. Older records become a counted
 * gap for that child.
 */
export const TEE_QUEUE_RECORDS_MAX = 16_384

/** Default maximum number of bytes that wait for the reader of a `ConsoleAppender`. */
export const CONSOLE_QUEUE_BYTES_DEFAULT = 4 * MIB
/** Default maximum time that the `close` method of a `ConsoleAppender` waits for a reader. */
export const CONSOLE_CLOSE_TIMEOUT_MS_DEFAULT = 2_000

/** Maximum depth of arrays and maps in `data`. A deeper value becomes a marker. */
export const DATA_DEPTH_MAX = 32
/** Maximum depth of a state that is compared or shown. Recursion to this depth fits on Node's stack. */
export const STATE_DEPTH_MAX = 256
/** Maximum size of one record's `data` in bytes. A value that does not fit becomes a marker. */
export const DATA_BYTES_MAX = MIB
/** Maximum size in bytes of packed `data` that a reader decodes, including headers. */
export const PACKED_DATA_BYTES_MAX = 4 * DATA_BYTES_MAX
/** Maximum depth of packed `data` that a reader decodes. No writer creates data this deep. */
export const PACKED_DEPTH_MAX = 2 * DATA_DEPTH_MAX
/**
 * Maximum number of strings, keys, maps, arrays, byte arrays, dates and wide integers that a reader decodes
 * in one `data` value. A canonical value within {@link DATA_BYTES_MAX} cannot reach this number, because each
 * of these items uses at least 5 bytes of that limit.
 */
export const DATA_OBJECTS_MAX = 2 ** 18
/**
 * Maximum length of a message in UTF-16 units. A longer message is truncated, and ends with a note about the
 * truncation.
 */
export const MESSAGE_LENGTH_MAX = 256 * KIB
/** Maximum length of a kind or a string id in UTF-16 units. Longer values are refused. */
export const NAME_LENGTH_MAX = 256

/** Maximum number of records in one `publishBatch`. */
export const BATCH_RECORDS_MAX = 1024
/** Maximum size of one `publishBatch` in bytes, as estimated by the ring. */
export const BATCH_BYTES_MAX = MIB

/** Default maximum depth of nested publishing by listeners. */
export const NESTED_DEPTH_DEFAULT = 10_000
/** Default maximum number of nested deliveries that one outermost `publish` can cause. */
export const NESTED_DELIVERIES_DEFAULT = 65_536

/** Default maximum time that `close` waits for an unresponsive appender, handler or source. */
export const CLOSE_TIMEOUT_MS_DEFAULT = 3_000
/**
 * Default maximum time that the `close` method of a `SourceManager` waits for a source to end, and then for a
 * slow appender.
 */
export const SOURCE_CLOSE_TIMEOUT_MS_DEFAULT = 5_000
/** Maximum time that `close` waits for a file or a cluster. For a chain file, this is only the default. */
export const SLOW_CLOSE_TIMEOUT_MS = 30_000
/** Default maximum time that `closeOnSignal` waits for the application to shut down. */
export const DRAIN_TIMEOUT_MS_DEFAULT = 10_000

/** Initial and maximum delays before a failed append or write is retried. */
export const RETRY_MS_MIN = 50
export const RETRY_MS_MAX = 5_000
/**
 * Initial delay before a replay retries a delivery. It is longer than {@link RETRY_MS_MIN}, so that a failing
 * appender can retry first.
 */
export const REPLAY_RETRY_MS_MIN = 100

/**
 * Default maximum number of unwritten bytes that a `FileChainAppender` keeps in memory while its disk is
 * failing.
 */
export const PENDING_BYTES_DEFAULT = 16 * MIB

/** Default size in bytes at which a chain with retention starts a new file. */
export const ROTATE_BYTES_DEFAULT = 64 * MIB

/**
 * Highest seq, file offset or count that is decoded from a file, accepted from a caller, or assigned by a
 * writer. It is 2^32 below the highest safe integer, so that sums slightly above it remain exact.
 */
export const SEQ_MAX = 2 ** 53 - 1 - 2 ** 32
/** Highest epoch and highest segment number. Both are 32-bit numbers in a file. */
export const EPOCH_MAX = 2 ** 32 - 1 - 2 ** 16

/** Default bounds for the queue of a `SourceManager`: the number of samples and their total size in bytes. */
export const QUEUE_SAMPLES_DEFAULT = 500_000
export const QUEUE_BYTES_DEFAULT = 256 * MIB
/** Maximum number of sources that one `SourceManager` archives. */
export const SOURCES_MAX = 50_000
/** Maximum number of extra fields and aliases of one source, which the registry stores in one record. */
export const SOURCE_NAMES_MAX = 256
/**
 * Defaults for the time within which a source must subscribe or respond, and for the delay before a failed
 * source is retried.
 */
export const CONNECT_TIMEOUT_MS_DEFAULT = 10_000
export const SOURCE_RETRY_MS_DEFAULT = 5_000
/** Maximum delay before an extra field of a source is read again after a failure. */
export const FIELD_RETRY_MS_MAX = 60_000
/** Bounds for a timestamp from a source: not before 1991, and within half an hour of the clock. */
export const SAMPLE_TIME_MIN_MS = 662_688_000_000
export const SAMPLE_TIME_WINDOW_MS = 1_800_000
/** Time without a sample after which a source is reported as silent. */
export const SILENT_MS = 3_600_000
