/**
 * Every default and every bound, in one place. A bound protects either the service's memory or a reader that is
 * handed a hostile file; raising one is a change of format or of promise, so none of them is an option.
 */

const KIB = 1024
const MIB = 1024 * KIB

/** Records a ring holds unless told otherwise. */
export const RING_CAPACITY_DEFAULT = 2048
/** Records a `BufferingAppender` holds unless told otherwise. */
export const BUFFER_CAPACITY_DEFAULT = 16_384

/** How long `waitFor` waits unless told otherwise. */
export const WAIT_MS_DEFAULT = 1_000

/** Two records further apart than this are taken for a clock that was set, or an idle night: a paced replay does not wait for it. */
export const CLOCK_JUMP_MS = 3_600_000

/** Further ahead than this, beyond what was waited for, the clock of a replay was set, or is wrong. */
export const CLOCK_STEP_MS_MAX = 86_400_000

/** Records a `TeeAppender` keeps for its slowest child; what a child is behind by more is a counted gap for that child. */
export const TEE_QUEUE_RECORDS_MAX = 16_384

/** Nested arrays and maps in `data`; what is deeper becomes a marker. */
export const DATA_DEPTH_MAX = 32
/** The same in a state that is compared or shown: a recursion over it stays well within Node's stack. */
export const STATE_DEPTH_MAX = 256
/** Bytes of one record's `data`; the value that would go beyond becomes a marker. */
export const DATA_BYTES_MAX = MIB
/** No such `data` packs to more than this; it leaves room for headers. No reader decodes more. */
export const PACKED_DATA_BYTES_MAX = 4 * DATA_BYTES_MAX
/** Nested arrays and maps of packed `data` that a reader decodes: more than any writer makes. */
export const PACKED_DEPTH_MAX = 2 * DATA_DEPTH_MAX
/**
 * Texts, keys, maps, arrays, bytes, dates and wide integers in one `data` that a reader decodes. A canonical value of {@link DATA_BYTES_MAX}
 * holds fewer, because each counts at least 5 bytes.
 */
export const DATA_OBJECTS_MAX = 2 ** 18
/** UTF-16 units of a message; what is longer is cut and says so. */
export const MESSAGE_LENGTH_MAX = 256 * KIB
/** UTF-16 units of a kind or a string id; a longer one is refused. */
export const NAME_LENGTH_MAX = 256

/** Records in one `publishBatch`. */
export const BATCH_RECORDS_MAX = 1024
/** Bytes in one `publishBatch`, by the ring's estimate. */
export const BATCH_BYTES_MAX = MIB

/** How deep listeners may publish from listeners before delivery is cut, unless the loop is told otherwise. */
export const NESTED_DEPTH_DEFAULT = 10_000
/** How many nested deliveries one outermost publish may cause before delivery is cut, unless the loop is told otherwise. */
export const NESTED_DELIVERIES_DEFAULT = 65_536

/** How long `close` waits for an appender, a handler or a source that does not answer, unless told otherwise. */
export const CLOSE_TIMEOUT_MS_DEFAULT = 3_000
/** How long a `SourceManager` that closes waits for a source to end, and then for an appender that is behind, unless told otherwise. */
export const SOURCE_CLOSE_TIMEOUT_MS_DEFAULT = 5_000
/** How long `close` waits for a file or a cluster, which have bounds of their own. */
export const SLOW_CLOSE_TIMEOUT_MS = 30_000
/** How long `closeOnSignal` waits for the application to end by itself, unless told otherwise. */
export const DRAIN_TIMEOUT_MS_DEFAULT = 10_000

/** First and longest wait of the retry timer of a loop or writer whose appends fail. */
export const RETRY_MS_MIN = 50
export const RETRY_MS_MAX = 5_000

/** Unwritten bytes a `FileChainAppender` holds while its disk fails. */
export const PENDING_BYTES_DEFAULT = 16 * MIB

/** Size of a file of a chain that retention bounds, unless told otherwise. */
export const ROTATE_BYTES_DEFAULT = 64 * MIB

/**
 * Highest seq, file offset or count that is decoded from a file or accepted from outside, and that a writer gives. 2^32 below what a number
 * counts exactly, so that arithmetic with a few more records never loses one.
 */
export const SEQ_MAX = 2 ** 53 - 1 - 2 ** 32
/** The same for epochs and segments, which have 32 bits in a file. */
export const EPOCH_MAX = 2 ** 32 - 1 - 2 ** 16

/** Samples in the queue of a `SourceManager`, and their bytes, unless told otherwise. */
export const QUEUE_SAMPLES_DEFAULT = 500_000
export const QUEUE_BYTES_DEFAULT = 256 * MIB
/** Sources that one manager archives. */
export const SOURCES_MAX = 50_000
/** Extra fields of one source, and its aliases: the registry holds them in one record. */
export const SOURCE_NAMES_MAX = 256
/** How long a source may take to subscribe or to answer, and when one that failed is tried again, unless told otherwise. */
export const CONNECT_TIMEOUT_MS_DEFAULT = 10_000
export const SOURCE_RETRY_MS_DEFAULT = 5_000
/** Longest wait before an extra field of a source is tried again. */
export const FIELD_RETRY_MS_MAX = 60_000
/** A source's own time may not be before 1991, nor further from the clock than half an hour. */
export const SAMPLE_TIME_MIN_MS = 662_688_000_000
export const SAMPLE_TIME_WINDOW_MS = 1_800_000
/** A source of which nothing came for so long is silent. */
export const SILENT_MS = 3_600_000
