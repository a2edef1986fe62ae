"""Reads the files of a chain, oldest first (docs/FORMAT.md). Checks checksums and links, prints JSON."""
import base64, datetime, hashlib, json, math, re, struct, sys, zlib
import msgpack
LEVELS, TAG = ['trace', 'debug', 'info', 'warn', 'error'], re.compile(r'^\$+(bigint|bytes|date|number)$')

def value(unpacker, data):  # in the JSON dialect
    lead = data[unpacker.tell()]  # only a bigint is 64 bits wide: this distinguishes it from a number
    if lead in (0xcf, 0xd3): return {'$bigint': str(unpacker.unpack())}
    if 0x90 <= lead <= 0x9f or lead in (0xdc, 0xdd):
        return [value(unpacker, data) for _ in range(unpacker.read_array_header())]
    if 0x80 <= lead <= 0x8f or lead in (0xde, 0xdf):
        pairs = [(unpacker.unpack(), value(unpacker, data)) for _ in range(unpacker.read_map_header())]
        escape = '$' if len(pairs) == 1 and TAG.match(pairs[0][0]) else ''
        return {escape + key: item for key, item in pairs}
    item = unpacker.unpack()
    if isinstance(item, bytes): return {'$bytes': base64.b64encode(item).decode()}
    if isinstance(item, msgpack.Timestamp):
        date = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=item.to_unix_nano() // 1000000)
        return {'$date': date.isoformat(timespec='milliseconds') + 'Z'}
    if isinstance(item, msgpack.ExtType): return {'$bigint': str(int.from_bytes(item.data, 'big', signed=True))}
    if isinstance(item, float) and not math.isfinite(item):
        return {'$number': {math.inf: 'Infinity', -math.inf: '-Infinity'}.get(item, 'NaN')}
    return item

def records(block):
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(block)
    _length, _crc, _flags, epoch, base_seq, base_ts = [
        unpacker.unpack() for _ in range(unpacker.read_array_header() - 1)]
    for index in range(unpacker.read_array_header()):
        count = unpacker.read_array_header()
        row = [value(unpacker, block) for _ in range(count)] + [None] * (8 - count)
        kind = 'log' if row[2] is None else row[2]
        origin = {} if row[6] is None else {'origin': dict(zip(['chainId', 'epoch', 'seq'], row[6]))}
        yield {'seq': base_seq + index, 'epoch': epoch, 'tsMs': base_ts + row[0], 'level': LEVELS[row[1]],
               'kind': kind, 'message': kind if row[3] is None else row[3], 'daemonId': row[4], 'nodeId': row[5],
               **({'data': row[7]} if count == 8 else {}), **origin}

for path, next_path in zip(sys.argv[1:], sys.argv[2:] + [None]):
    data = open(path, 'rb').read()  # valid up to the next file's first offset, or whole after a repair
    if next_path and not (data[-263:].startswith(b'\x9f\xa6anchor') and data[-217] == 4):
        data = data[:int(struct.unpack('>d', open(next_path, 'rb').read()[55:63])[0])]
    place, position, link_from, link = data[15:31] + data[32:36], 102, 102, hashlib.sha256(data[:102]).digest()
    while position < len(data):
        is_frame = data[position] == 0x97
        length = int.from_bytes(data[position + 2:position + 6], 'big') if is_frame else 263
        block, body, crc_at = data[position:position + length], *((11, 7) if is_frame else (13, 9))
        if len(block) < length: break  # a torn tail
        assert is_frame or block.startswith(b'\x9f\xa6anchor\xce'), f'damage at {position}'
        crc = zlib.crc32(block[body:], zlib.crc32(place + struct.pack('>QI', position, length)))
        assert crc == int.from_bytes(block[crc_at:crc_at + 4], 'big'), f'damage at {position}'
        if is_frame:
            sys.stdout.writelines(json.dumps(record) + '\n' for record in records(block))
        else:
            link = hashlib.sha256(link + data[link_from:position] + block[13:229]).digest()
            assert link == block[231:263], f'broken link at {position}'
            link_from = position + length
        position += length
