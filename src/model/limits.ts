/**
 * The defaults and bounds that several folders share. A bound protects the memory of a service, or a reader
 * of a hostile file; raising one changes the format or a promise, so none of them is an option.
 */
const KIB = 1024
const MIB = 1024 * KIB

/** Default for the records in a ring. */
export const RING_CAPACITY_DEFAULT = 2048
/** Default for the records that a `BufferingAppender` holds. */
export const BUFFER_CAPACITY_DEFAULT = 16_384

/** Default for how long `waitFor` waits. */
export const WAIT_MS_DEFAULT = 1_000

/**
 * A paced replay does not wait between records further apart than this: the clock was set, or the night was
 * idle.
 */
export const CLOCK_JUMP_MS = 3_600_000

/** A clock of a replay that is further ahead of its waits than this was set, or is wrong. */
export const CLOCK_STEP_MS_MAX = 86_400_000

/**
 * Records that a `TeeAppender` keeps for its slowest child; older ones become a counted gap of that child.
 */
export const TEE_QUEUE_RECORDS_MAX = 16_384

/** Depth of arrays and maps in `data`; a deeper value becomes a marker. */
export const DATA_DEPTH_MAX = 32
/** The same in a state that is compared or shown: a recursion over it fits Node's stack. */
export const STATE_DEPTH_MAX = 256
/** Bytes of one record's `data`; a value that does not fit becomes a marker. */
export const DATA_BYTES_MAX = MIB
/** Bytes of packed `data`, with room for headers. No reader decodes more. */
export const PACKED_DATA_BYTES_MAX = 4 * DATA_BYTES_MAX
/** Depth of packed `data` that a reader decodes: more than any writer makes. */
export const PACKED_DEPTH_MAX = 2 * DATA_DEPTH_MAX
/**
 * Texts, keys, maps, arrays, bytes, dates and wide integers in one `data` that a reader decodes. A canonical
 * value of {@link DATA_BYTES_MAX} holds fewer, because each counts at least 5 bytes.
 */
export const DATA_OBJECTS_MAX = 2 ** 18
/** UTF-16 units of a message; a longer one is cut, and its end says so. */
export const MESSAGE_LENGTH_MAX = 256 * KIB
/** UTF-16 units of a kind or a string id; a longer one is refused. */
export const NAME_LENGTH_MAX = 256

/** Records in one `publishBatch`. */
export const BATCH_RECORDS_MAX = 1024
/** Bytes in one `publishBatch`, by the ring's estimate. */
export const BATCH_BYTES_MAX = MIB

/** Default for how deep listeners may publish from listeners. */
export const NESTED_DEPTH_DEFAULT = 10_000
/** Default for the nested deliveries that one outermost publish may cause. */
export const NESTED_DELIVERIES_DEFAULT = 65_536

/** Default for how long `close` waits for an appender, a handler or a source that does not answer. */
export const CLOSE_TIMEOUT_MS_DEFAULT = 3_000
/** Default for how long closing a `SourceManager` waits for a source to end, and then for a slow appender. */
export const SOURCE_CLOSE_TIMEOUT_MS_DEFAULT = 5_000
/** How long `close` waits for a file or a cluster, which have bounds of their own. */
export const SLOW_CLOSE_TIMEOUT_MS = 30_000
/** Default for how long `closeOnSignal` waits for the application to end by itself. */
export const DRAIN_TIMEOUT_MS_DEFAULT = 10_000

/** First and longest wait before a failed append or write is retried. */
export const RETRY_MS_MIN = 50
export const RETRY_MS_MAX = 5_000
/** First wait of a replay before it retries. Longer than {@link RETRY_MS_MIN}: an appender that fails retries by itself first. */
export const REPLAY_RETRY_MS_MIN = 100

/** Unwritten bytes a `FileChainAppender` holds while its disk fails. */
export const PENDING_BYTES_DEFAULT = 16 * MIB

/** Default for the size of a file of a chain with retention. */
export const ROTATE_BYTES_DEFAULT = 64 * MIB

/**
 * Highest seq, file offset or count that is decoded from a file, accepted from outside, or given by a writer.
 * 2^32 below the highest exact number, so that arithmetic with a few more records stays exact.
 */
export const SEQ_MAX = 2 ** 53 - 1 - 2 ** 32
/** The same for epochs and segments, which have 32 bits in a file. */
export const EPOCH_MAX = 2 ** 32 - 1 - 2 ** 16

/** Defaults for the samples in the queue of a `SourceManager`, and for their bytes. */
export const QUEUE_SAMPLES_DEFAULT = 500_000
export const QUEUE_BYTES_DEFAULT = 256 * MIB
/** Sources that one manager archives. */
export const SOURCES_MAX = 50_000
/** Extra fields of one source, and its aliases: the registry holds them in one record. */
export const SOURCE_NAMES_MAX = 256
/** Defaults for how long a source may take to subscribe or answer, and for when a failed one is retried. */
export const CONNECT_TIMEOUT_MS_DEFAULT = 10_000
export const SOURCE_RETRY_MS_DEFAULT = 5_000
/** Longest wait before an extra field of a source is tried again. */
export const FIELD_RETRY_MS_MAX = 60_000
/** A source's own time may not be before 1991, nor more than half an hour from the clock. */
export const SAMPLE_TIME_MIN_MS = 662_688_000_000
export const SAMPLE_TIME_WINDOW_MS = 1_800_000
/** A source without a sample for this long is silent. */
export const SILENT_MS = 3_600_000
