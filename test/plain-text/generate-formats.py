#!/usr/bin/env python3
"""Writes the fixtures of formats/: for each format, 100 lines and their expected times and levels.

The expected values come first. The script chooses a time and a level, notes them, and then prints a line in
the layout that the format's documentation describes (README.md lists the sources). It shares no code with
the parser. Running it again writes the same files: python3 test/plain-text/generate-formats.py
"""
import json
import os
import random
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'formats')
UTC = timezone.utc
MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split()
DAYS = 'Mon Tue Wed Thu Fri Sat Sun'.split()
NOW = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)
LINES = 100

I, W, E, D, T = 'info', 'warn', 'error', 'debug', 'trace'


class Format:
    def __init__(self, name, zone='UTC', seed=1, multiline=True):
        self.name, self.zone, self.multiline = name, ZoneInfo(zone), multiline
        self.zone_name = zone
        self.random = random.Random(f'{name} {seed}')
        self.at = datetime(2026, 2, 26, 21, 58, 0, tzinfo=UTC)
        self.lines, self.expected = [], []

    def time(self, digits=3, year_seconds=7200):
        """The next time, cut to the number of digits of the format's fractions."""
        step = self.random.randrange(1, year_seconds * 1_000_000)
        self.at += timedelta(microseconds=step)
        unit = 10 ** (6 - digits)
        self.at = self.at.replace(microsecond=self.at.microsecond // unit * unit)
        return self.at.astimezone(self.zone)

    def pick(self, *choices):
        return self.random.choice(choices)

    def number(self, below):
        return self.random.randrange(below)

    def add(self, text, at=None, level=None, name=None, joins=False):
        if len(self.lines) == LINES:
            return
        expected = {}
        if at is not None:
            expected['tsMs'] = int(at.timestamp()) * 1000 + at.microsecond // 1000
        if level is not None:
            expected['level'] = level
        if name is not None:
            expected['name'] = name
        if joins:
            expected['joins'] = True
        self.lines.append(text)
        self.expected.append(expected)

    def more(self, *texts):
        for text in texts:
            self.add(text, joins=True)

    @property
    def full(self):
        return len(self.lines) >= LINES

    def write(self):
        assert len(self.lines) == LINES, (self.name, len(self.lines))
        with open(os.path.join(HERE, self.name + '.log'), 'w', newline='') as file:
            file.write(''.join(line + '\n' for line in self.lines))
        rows = ',\n'.join(f'\t\t{spaced(row)}' for row in self.expected)
        with open(os.path.join(HERE, self.name + '.expected.json'), 'w') as file:
            now = int(NOW.timestamp() * 1000)
            file.write(f'{{\n\t"timeZone": "{self.zone_name}",\n\t"now": {now},\n\t"lines": [\n{rows}\n\t]\n}}\n')


def spaced(row):
    """An object as the formatter of the project writes it."""
    return '{}' if not row else '{ ' + json.dumps(row)[1:-1] + ' }'


def frac(at, digits, sep='.'):
    return sep + f'{at.microsecond:06d}'.ljust(9, '0')[:digits] if digits else ''


def iso(at, digits=3, sep='T', point='.', zone=''):
    return at.strftime(f'%Y-%m-%d{sep}%H:%M:%S') + frac(at, digits, point) + zone


def offset(at, colon=True):
    text = at.strftime('%z')
    return text[:3] + (':' if colon else '') + text[3:]


WORDS = ('connection', 'cache', 'order', 'request', 'index', 'worker', 'queue', 'lease', 'segment', 'session')
VERBS = ('opened', 'expired', 'rejected', 'flushed', 'rebuilt', 'resumed', 'scheduled', 'dropped')


def text(f):
    return f'{f.pick(*WORDS)} {f.number(1000)} {f.pick(*VERBS)} after {f.number(900)} ms'


JAVA = (
    'java.lang.IllegalStateException: pool is closed',
    '\tat com.acme.pool.Pool.take(Pool.java:118)',
    '\tat com.acme.web.Handler.handle(Handler.java:42) [web.jar:1.4]',
    '\tat java.base/java.lang.Thread.run(Thread.java:840)',
    '\tSuppressed: java.io.IOException: close failed',
    '\t\tat com.acme.pool.Pool.close(Pool.java:160)',
    'Caused by: java.net.ConnectException: Connection refused',
    '\tat java.base/sun.nio.ch.Net.connect0(Native Method)',
    '\t... 12 more',
)
PYTHON = (
    'Traceback (most recent call last):',
    '  File "/srv/app/orders.py", line 17, in place',
    '    stock = self.stock[item]',
    "KeyError: 'bolt'",
    '',
    'During handling of the above exception, another exception occurred:',
    '',
    'Traceback (most recent call last):',
    '  File "/srv/app/main.py", line 40, in run',
    '    place(order)',
    'orders.errors.OutOfStock: no bolts',
)
NODE = (
    'Error: card declined',
    '    at charge (/srv/app/charge.js:12:9)',
    '    at async place (file:///srv/app/place.mjs:40:3)',
    '    at process.processTicksAndRejections (node:internal/process/task_queues:95:5) {',
    "  code: 'DECLINED',",
    '  cause: TypeError: fetch failed',
    '      at node:internal/deps/undici/undici:12618:11 {',
    '    errno: -111',
    '  }',
    '}',
)
GO = (
    'panic: runtime error: index out of range [5] with length 3',
    '',
    'goroutine 1 [running]:',
    'main.pick(...)',
    '\t/srv/app/main.go:9',
    'main.(*Shop).Sell(0xc000012120, {0x4b1234, 0x4})',
    '\t/srv/app/shop.go:21 +0x1d',
    'created by main.main in goroutine 1',
    '\t/srv/app/main.go:31 +0x45',
    'exit status 2',
)


def iso_8601():
    """Rust tracing, zap's console, hclog, winston's printf, Spring Boot, MongoDB 4.2, Windows CBS."""
    f = Format('iso-8601', 'Europe/Berlin')
    levels = [('TRACE', T), ('DEBUG', D), ('INFO', I), ('WARN', W), ('ERROR', E)]
    while not f.full:
        word, level = f.pick(*levels)
        low = word.lower()
        style = f.number(12)
        at = f.time(6 if style in (0, 9) else 0 if style in (3, 7, 10) else 3)
        u = at.astimezone(UTC)
        if style == 0:
            f.add(f'{iso(u, 6, zone="Z")} {word:>5} app::orders: {text(f)}', at, level)
        elif style == 1:
            f.add(f'{iso(u, 3, zone="Z")}\t{word}\torders/place.go:{f.number(400)}\t{text(f)}\t{{"id": 7}}', at, level)
        elif style == 2:
            f.add(f'{iso(u, 3, zone="Z")} [{word}]  agent: {text(f)}: node=n{f.number(9)}', at, level)
        elif style == 3:
            f.add(f'{iso(at, 0, " ")} {word} {text(f)}', at, level)
        elif style == 4:
            f.add(f'{iso(u, 3, zone="Z")} [shop] {low}: {text(f)}', at, level)
        elif style == 5:
            f.add(f'{iso(u, 3, zone="Z")} {low}: {text(f)}', at, level)
        elif style == 6:
            f.add(f'{iso(at, 3, "T", zone=offset(at))}  {word:>5} 4711 --- [shop] [nio-8080-exec-{f.number(9)}] c.acme.shop.Orders : {text(f)}', at, level)
        elif style == 7:
            f.add(f'{iso(at, 0, " ")}, {word.capitalize():<21} CBS    {text(f)}', at, level)
        elif style == 8:
            letter = word[0]
            if letter == 'T':
                letter, level = 'D2', D
            f.add(f'{iso(at, 3, "T", zone=offset(at, False))} {letter:<2} NETWORK  [listener] {text(f)}', at, level)
        elif style == 9:
            f.add(f'[{iso(at, 6, " ")} {offset(at)}] [{low}] {text(f)}', at, level)
        elif style == 10:
            f.add(f'{iso(u, 0, "T", zone="Z")} {text(f)}', at)
        else:
            f.add(f'\x1b[2m{iso(u, 3, zone="Z")}\x1b[0m \x1b[32m{word:>5}\x1b[0m \x1b[2mapp\x1b[0m\x1b[2m:\x1b[0m {text(f)}', at, level)
    f.write()


SEVERITIES = [('emerg', E, 'emerg'), ('alert', E, 'alert'), ('crit', E, 'crit'), ('err', E, None), ('warning', W, None), ('notice', I, None), ('info', I, None), ('debug', D, None)]


def rfc3164_time(at):
    return f'{MONTHS[at.month - 1]} {at.day:2d} {at:%H:%M:%S}'


def rfc_3164():
    f = Format('rfc-3164', 'America/New_York')
    # The example of RFC 3164, section 5.4: 11 October is in the future of this run, so its year is 2025.
    f.add("<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8", datetime(2025, 10, 11, 22, 14, 15, tzinfo=f.zone), E, 'crit')
    f.add('<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!', datetime(2026, 2, 5, 17, 32, 18, tzinfo=f.zone), I)
    f.add('Dec 31 23:59:59 gate sshd[24200]: Invalid user webmaster from 192.0.2.186', datetime(2025, 12, 31, 23, 59, 59, tzinfo=f.zone))
    f.add('Feb 29 10:00:00 gate cron[9]: leap day', datetime(2024, 2, 29, 10, 0, 0, tzinfo=f.zone))
    while not f.full:
        at = f.time(0)
        severity = f.number(8)
        _, level, name = SEVERITIES[severity]
        tag = f.pick('sshd(pam_unix)[19939]:', 'kernel:', 'com.apple.CDScheduler[43]:', 'CRON[211]:')
        if f.number(2):
            f.add(f'<{f.number(24) * 8 + severity}>{rfc3164_time(at)} host-{f.number(9)} {tag} {text(f)}', at, level, name)
        else:
            f.add(f'{rfc3164_time(at)} host-{f.number(9)} {tag} {text(f)}', at)
    f.write()


def rfc_5424():
    f = Format('rfc-5424')
    # The examples of RFC 5424, section 6.5.
    f.add("<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed for lonvick on /dev/pts/8", datetime(2003, 10, 11, 22, 14, 15, 3000, UTC), E, 'crit')
    f.add("<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.", datetime(2003, 8, 24, 12, 14, 15, 3, UTC), I)
    f.add('<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] \ufeffAn application event log entry...', datetime(2003, 10, 11, 22, 14, 15, 3000, UTC), I)
    f.add('<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]', datetime(2003, 10, 11, 22, 14, 15, 3000, UTC), I)
    f.add('<0>1 - - - - - - no time at all', None, E, 'emerg')
    while not f.full:
        at = f.time(6)
        severity = f.number(8)
        _, level, name = SEVERITIES[severity]
        f.add(f'<{f.number(24) * 8 + severity}>1 {iso(at, 6, zone="Z")} host{f.number(9)} app {f.number(9999)} - - {text(f)}', at, level, name)
    f.write()


LOG4J = [('TRACE', T, None), ('DEBUG', D, None), ('INFO', I, None), ('WARN', W, None), ('ERROR', E, None), ('FATAL', E, 'fatal')]


def log4j():
    f = Format('log4j', 'Europe/Berlin')
    while not f.full:
        word, level, name = f.pick(*LOG4J)
        at = f.time(3)
        style = f.number(8)
        stamp = iso(at, 3, ' ', ',')
        if style == 0:
            f.add(f'{stamp} [main] {word:<5} com.acme.shop.Orders - {text(f)}', at, level, name)
        elif style == 1:
            f.add(f'{stamp} {word} [RMCommunicator Allocator] com.acme.rm.Allocator: {text(f)}', at, level, name)
        elif style == 2:
            f.add(f'{stamp} - {word:<5} [QuorumPeer[myid=1]/0:0:0:0:0:0:0:0:2181:Election@774] - {text(f)}', at, level, name)
        elif style == 3:
            f.add(f'[{stamp}] {word} [Broker id=1] {text(f)} (kafka.server.Broker)', at, level, name)
        elif style == 4:
            f.add(f'{word:<5} [{stamp}] com.acme.shop.Orders: {text(f)}', at, level, name)
        elif style == 5:
            f.add(f'{f.number(90000):<5} [main] {word:<5} com.acme.Sort - {text(f)}', None, level, name)
        elif style == 6:
            f.add(f'{at:%d} {MONTHS[at.month - 1]} {at:%Y %H:%M:%S}{frac(at, 3, ",")} {word:<5} [main] Orders - {text(f)}', at, level, name)
        else:
            f.add(f'{stamp} [http-1] ERROR com.acme.web.Handler - {text(f)}', at, E)
            f.more(*JAVA)
    f.write()


def logback():
    f = Format('logback', 'Europe/Berlin')
    while not f.full:
        word, level, _ = f.pick(*LOG4J[:5])
        at = f.time(3)
        style = f.number(5)
        if style == 0:
            f.add(f'{at:%H:%M:%S}{frac(at, 3)} [main] {word:<5} com.acme.shop.Orders -- {text(f)}', None, level)
        elif style == 1:
            f.add(f'{iso(at, 3, " ")} [http-{f.number(9)}] {word:<5} c.a.shop.Orders - {text(f)}', at, level)
        elif style == 2:
            f.add(f'{iso(at, 3, " ")}  {word:<5} 4711 --- [           main] com.acme.shop.Orders : {text(f)}', at, level)
        elif style == 3:
            f.add(f'{iso(at, 3, " ", ",")} |-{word} in ch.qos.logback.classic.LoggerContext[default] - {text(f)}', at, level)
        else:
            f.add(f'{iso(at, 3, " ")} [http-3] ERROR c.a.web.Handler - {text(f)}', at, E)
            f.more(*JAVA)
    f.write()


def spark():
    f = Format('spark', 'Europe/Berlin')
    while not f.full:
        word, level, name = f.pick(*LOG4J)
        at = f.time(0)
        if f.number(12) == 0:
            f.add(f'{at:%y/%m/%d %H:%M:%S} ERROR executor.Executor: Exception in task 0.0 in stage 1.0 (TID 1)', at, E)
            f.more(*JAVA)
        else:
            f.add(f'{at:%y/%m/%d %H:%M:%S} {word} executor.CoarseGrainedExecutorBackend: {text(f)}', at, level, name)
    f.write()


def hdfs():
    f = Format('hdfs')
    while not f.full:
        word, level, name = f.pick(*LOG4J)
        at = f.time(0)
        f.add(f'{at:%y%m%d %H%M%S} {f.number(3000)} {word} dfs.DataNode$PacketResponder: {text(f)}', at, level, name)
    f.write()


ANDROID = [('V', T, None), ('D', D, None), ('I', I, None), ('W', W, None), ('E', E, None), ('F', E, 'fatal')]


def android_threadtime():
    f = Format('android-threadtime', 'Asia/Kolkata')
    f.add('--------- beginning of main')
    f.add('12-31 23:59:59.999  1702  2395 D WindowManager: new year', datetime(2025, 12, 31, 23, 59, 59, 999000, f.zone), D)
    while not f.full:
        letter, level, name = f.pick(*ANDROID)
        at = f.time(3)
        style = f.number(4)
        tag = f.pick('WindowManager', 'PowerManagerService', 'art', 'chatty  ')
        if style == 0:
            f.add(f'{at:%m-%d %H:%M:%S}{frac(at, 3)} {letter}/{tag}( 1702): {text(f)}', at, level, name)
        elif style == 1:
            f.add(f'{iso(at, 3, " ")} {offset(at, False)}  1702  2395 {letter} {tag}: {text(f)}', at, level, name)
        else:
            f.add(f'{at:%m-%d %H:%M:%S}{frac(at, 3)}  1702  {f.number(9999):4d} {letter} {tag}: {text(f)}', at, level, name)
    f.write()


def android_brief():
    f = Format('android-brief')
    while not f.full:
        letter, level, name = f.pick(*ANDROID)
        style = f.number(3)
        if style == 0:
            f.add(f'{letter}/ActivityManager( {f.number(999):3d}): {text(f)}', None, level, name)
        elif style == 1:
            f.add(f'{letter}/dalvikvm(12345): {text(f)}', None, level, name)
        else:
            f.add(f'{letter}/art     : {text(f)}', None, level, name)
    f.write()


def nginx_error():
    f = Format('nginx-error', 'America/New_York')
    while not f.full:
        word, level, name = f.pick(*[(('error' if s == 'err' else 'warn' if s == 'warning' else s), l, n) for s, l, n in SEVERITIES])
        at = f.time(0)
        f.add(f'{at:%Y/%m/%d %H:%M:%S} [{word}] {f.number(9999)}#0: *{f.number(99)} connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.{f.number(255)}, server: shop, request: "GET /error HTTP/1.1"', at, level, name)
    f.write()


def clf(at):
    return f'{at:%d}/{MONTHS[at.month - 1]}/{at:%Y:%H:%M:%S %z}'


def access():
    f = Format('access', 'Asia/Tokyo')
    # The example of the documentation of Apache's mod_log_config.
    f.add('127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326', datetime(2000, 10, 10, 20, 55, 36, tzinfo=UTC))
    f.add('127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"', datetime(2000, 10, 10, 20, 55, 36, tzinfo=UTC))
    while not f.full:
        at = f.time(0).astimezone(f.pick(UTC, f.zone, ZoneInfo('America/New_York')))
        client = f.pick('192.0.2.7', '2001:db8::7', 'client.example.com')
        user = f.pick('-', 'frank', 'ERROR')
        host = f.pick('', '', 'shop.example.com:443 ')
        request = f.pick('GET /error?level=FATAL HTTP/2.0', 'POST /orders HTTP/1.1', '\\x16\\x03\\x01', '-')
        f.add(f'{host}{client} - {user} [{clf(at)}] "{request}" {f.pick(200, 404, 500)} {f.number(9999)} "-" "curl/8.5 WARN"', at)
    f.write()


def apache_error():
    f = Format('apache-error', 'Europe/Berlin')
    while not f.full:
        word, level, name = f.pick(*[(('error' if s == 'err' else 'warn' if s == 'warning' else s), l, n) for s, l, n in SEVERITIES], ('trace3', T, None))
        style = f.number(3)
        at = f.time(6 if style else 0)
        day = f'{DAYS[at.weekday()]} {MONTHS[at.month - 1]} {at:%d %H:%M:%S}'
        if style == 0 and word != 'trace3':
            f.add(f'[{day} {at:%Y}] [{word}] mod_jk child workerEnv in error state {f.number(9)}', at, level, name)
        elif style == 0:
            f.add(f'[{day} {at:%Y}] [notice] jk2_init() Found child {f.number(9999)} in scoreboard slot 10', at, I)
        else:
            f.add(f'[{day}{frac(at, 6)} {at:%Y}] [{f.pick("core", "mpm_event", "ssl")}:{word}] [pid 35708:tid 4328636416] [client 192.0.2.99] {text(f)}', at, level, name)
    f.write()


PY = [('DEBUG', D, None), ('INFO', I, None), ('WARNING', W, None), ('ERROR', E, None), ('CRITICAL', E, 'CRITICAL'), ('NOTSET', T, None)]


def python_logging():
    f = Format('python-logging', 'America/New_York')
    while not f.full:
        word, level, name = f.pick(*PY)
        at = f.time(3)
        stamp = iso(at, 3, ' ', ',')
        style = f.number(12)
        if style == 0:
            f.add(f'{word}:root:{text(f)}', None, level, name)
        elif style == 1:
            f.add(f'{stamp} - shop.orders - {word} - {text(f)}', at, level, name)
        elif style == 2:
            f.add(f'{stamp} - my shop - {word} - {text(f)}', at, level, name)
        elif style == 3:
            f.add(f'{stamp} {word} {text(f)}', at, level, name)
        elif style == 4:
            f.add(f'{stamp} shop {word} {text(f)}', at, level, name)
        elif style == 5:
            f.add(f'{stamp}:{word}:{text(f)}', at, level, name)
        elif style == 6:
            f.add(f'[{stamp}: {word}/MainProcess] {text(f)}', at, level, name)
        elif style == 7:
            at = at.replace(microsecond=0)
            f.add(f'[{iso(at, 0, " ")} {offset(at, False)}] [4711] [{word}] {text(f)}', at, level, name)
        elif style == 8:
            f.add(f'{word:<8} shop.orders:place.py:{f.number(99)} {text(f)}', None, level, name)
        elif style == 9:
            word, level, name = f.pick(('D', D, None), ('I', I, None), ('W', W, None), ('E', E, None), ('C', E, 'critical'))
            f.add(f'[{word} {iso(at, 3, " ")} ServerApp] {text(f)}', at, level, name)
        elif style == 10:
            f.add(f'{iso(at, 3, " ")} | {word:<8} | shop.orders:place:{f.number(99)} - {text(f)}', at, level, name)
        else:
            f.add(f'{stamp} - shop.orders - ERROR - {text(f)}', at, E)
            f.more(*PYTHON)
    f.write()


KLOG = [('I', I, None), ('W', W, None), ('E', E, None), ('F', E, 'fatal')]


def klog():
    f = Format('klog', 'Europe/Berlin')
    while not f.full:
        letter, level, name = f.pick(*KLOG)
        at = f.time(6)
        f.add(f'{letter}{at:%m%d %H:%M:%S}{frac(at, 6)} {f.number(99999):7d} controller.go:{f.number(999)}] "{text(f)}" pod="kube-system/dns"', at, level, name)
    f.write()


def glog():
    f = Format('glog', 'Asia/Tokyo')
    f.add('Log file created at: 2026/02/26 21:58:00')
    f.add('Running on machine: node-7')
    f.add('Log line format: [IWEF]yyyymmdd hh:mm:ss.uuuuuu threadid file:line] msg')
    while not f.full:
        letter, level, name = f.pick(*KLOG)
        at = f.time(6)
        f.add(f'{letter}{at:%Y%m%d %H:%M:%S}{frac(at, 6)} {f.number(99999)} orders.cc:{f.number(999)}] {text(f)}', at, level, name)
    f.write()


def logfmt():
    f = Format('logfmt', 'Europe/Berlin')
    levels = [('trace', T, None), ('debug', D, None), ('info', I, None), ('warning', W, None), ('error', E, None), ('fatal', E, 'fatal'), ('WARN', W, None), ('ERROR', E, None)]
    while not f.full:
        word, level, name = f.pick(*levels)
        at = f.time(3)
        u = at.astimezone(UTC)
        style = f.number(6)
        if style == 0:
            f.add(f'time="{iso(u, 3, zone="Z")}" level={word} msg="{text(f)}" id={f.number(99)}', at, level, name)
        elif style == 1:
            f.add(f'time={iso(at, 3, zone=offset(at))} level={word} msg="level=fatal is \\"text\\"" n={f.number(9)}', at, level, name)
        elif style == 2:
            f.add(f'ts={iso(u, 3, zone="Z")} caller=place.go:{f.number(99)} level={word} msg="{text(f)}"', at, level, name)
        elif style == 3:
            f.add(f'level={word} ts={at.timestamp():.3f} msg="{text(f)}"', at, level, name)
        elif style == 4:
            f.add(f'level={word} msg="{text(f)} time=2001-01-01T00:00:00Z"', None, level, name)
        else:
            f.add(f'app=shop t="{iso(at, 3, " ")}" lvl={word} msg={f.pick(*WORDS)}', at, level, name)
    f.write()


def containers():
    f = Format('containers', 'Asia/Tokyo')
    while not f.full:
        at = f.time(6)
        u = at.astimezone(UTC)
        stamp = iso(u, 6) + f'{f.number(1000):03d}Z'
        style = f.number(7)
        if style == 0:
            f.add(f'{stamp} {text(f)}', at)
        elif style == 1:
            f.add(f'{stamp} stdout F {text(f)}', at)
        elif style == 2:
            f.add(f'{stamp} stderr P E0226 10:00:00.123456       1 controller.go:7] "{text(f)}"', at, E)
        elif style == 3:
            f.add(f'{stamp} [ERROR] {text(f)}', at, E)
        elif style == 4:
            f.add(f'{stamp} time="2001-01-01T00:00:00Z" level=warning msg="{text(f)}"', at, W)
        elif style == 5:
            f.add(f'web-{f.number(9)}  | {iso(u, 3, zone="Z")} DEBUG {text(f)}', at.replace(microsecond=at.microsecond // 1000 * 1000), D)
        else:
            f.add(f'db-1   | {text(f)}')
    f.write()


def postgresql():
    f = Format('postgresql', 'Europe/Berlin')
    words = [('DEBUG1', D, None), ('DEBUG5', D, None), ('INFO', I, None), ('NOTICE', I, None), ('WARNING', W, None), ('LOG', I, None), ('ERROR', E, None), ('FATAL', E, 'fatal'), ('PANIC', E, 'PANIC')]
    while not f.full:
        word, level, name = f.pick(*words)
        at = f.time(3)
        u = at.astimezone(UTC)
        style = f.number(4)
        if style == 0:
            f.add(f'{iso(u, 3, " ")} UTC [{f.number(9999)}] {word}:  {text(f)}', at, level, name)
        elif style == 1:
            f.add(f'{iso(at, 3, " ")} CET [{f.number(9999)}] app@shop {word}:  {text(f)}' if at.utcoffset() == timedelta(hours=1) else f'{iso(at, 3, " ")} CEST [{f.number(9999)}] app@shop {word}:  {text(f)}', at, level, name)
        elif style == 2:
            f.add(f'{iso(u, 3, " ")} GMT [{f.number(9999)}-1] {word}:  {text(f)}', at, level, name)
        else:
            f.add(f'{iso(u, 3, " ")} UTC [77] ERROR:  column "x" does not exist at character 8', at, E)
            f.add(f'{iso(u, 3, " ")} UTC [77] STATEMENT:  select x', at)
            f.more('\tfrom t', '\twhere level = \'ERROR\'')
    f.write()


def mysql():
    f = Format('mysql')
    words = [('Note', I), ('System', I), ('Warning', W), ('ERROR', E)]
    while not f.full:
        word, level = f.pick(*words)
        at = f.time(6)
        if f.number(2):
            f.add(f'{iso(at, 6, zone="Z")} {f.number(9)} [{word}] [MY-010116] [Server] {text(f)}', at, level)
        else:
            at = at.replace(microsecond=0)
            f.add(f'{at:%Y-%m-%d} {at.hour:2d}:{at:%M:%S} {f.number(9)} [{word}] InnoDB: {text(f)}', at, level)
    f.write()


def redis():
    f = Format('redis', 'Europe/Berlin')
    marks = [('.', D), ('-', D), ('*', I), ('#', W)]
    while not f.full:
        mark, level = f.pick(*marks)
        at = f.time(3)
        f.add(f'{f.number(9999)}:{f.pick(*"MSCX")} {at:%d} {MONTHS[at.month - 1]} {at:%Y %H:%M:%S}{frac(at, 3)} {mark} {text(f)}', at, level)
    f.write()


def java_util_logging():
    f = Format('java-util-logging', 'America/New_York')
    words = [('SEVERE', E), ('WARNING', W), ('INFO', I), ('CONFIG', D), ('FINE', D), ('FINER', T), ('FINEST', T)]
    while not f.full:
        word, level = f.pick(*words)
        at = f.time(0 if f.number(3) else 3)
        hour = at.hour % 12 or 12
        half = 'AM' if at.hour < 12 else 'PM'
        if at.microsecond:
            f.add(f'{at:%d}-{MONTHS[at.month - 1]}-{at:%Y %H:%M:%S}{frac(at, 3)} {word} [main] org.apache.catalina.startup.Catalina.start {text(f)}', at, level)
            continue
        if len(f.lines) == LINES - 1:
            f.add(f'{word}: {text(f)}', None, level)
            continue
        f.add(f'{MONTHS[at.month - 1]} {at:%d}, {at:%Y} {hour}:{at:%M:%S} {half} com.acme.shop.Orders place', at)
        f.add(f'{word}: {text(f)}', None, level, joins=True)
        if f.number(6) == 0:
            f.more(*JAVA)
    f.write()


def node_console():
    f = Format('node-console', 'Europe/Berlin')
    while not f.full:
        at = f.time(0)
        style = f.number(9)
        half = 'AM' if at.hour < 12 else 'PM'
        if style == 0:
            f.add(f'{text(f)}')
        elif style == 1:
            word, level = f.pick(('LOG', I), ('ERROR', E), ('WARN', W), ('DEBUG', D), ('VERBOSE', D))
            f.add(f'[Nest] {f.number(9999)}  - {at:%m/%d/%Y}, {at.hour % 12 or 12}:{at:%M:%S} {half} {word:>7} [NestFactory] {text(f)}', at, level)
        elif style == 2:
            f.add(f'npm {f.pick("warn", "WARN")} deprecated x@1.0.0: use y', None, W)
            f.add(f'npm {f.pick("error", "ERR!")} code ELIFECYCLE', None, E)
        elif style == 3:
            f.add(f'{f.pick(*WORDS)} {{')
            f.more("  id: 7,", "  items: [ { n: 1 }, { n: 2 } ],", '  nested: Map(1) {', "    'a' => 1", '  }', '}')
        elif style == 4:
            f.add(text(f))
            f.add(NODE[0])
            f.more(*NODE[1:])
        elif style == 5:
            f.add('/srv/app/charge.js:12')
            f.more("  throw new Error('card declined')", '  ^', '', *NODE, '', 'Node.js v22.12.0')
        elif style == 6:
            u = at.astimezone(UTC)
            f.add(f'{DAYS[u.weekday()]}, {u:%d} {MONTHS[u.month - 1]} {u:%Y %H:%M:%S} GMT shop:orders {text(f)}', at)
        elif style == 7:
            f.add('[')
            f.more('  {', '    "a": 1', '  }', ']')
        else:
            f.add(f'{iso(at.astimezone(UTC), 3, zone="Z")} - error: {text(f)}', at, E)
            f.more(*NODE)
    f.write()


def go():
    f = Format('go', 'Asia/Kolkata')
    while not f.full:
        at = f.time(6)
        whole = at.replace(microsecond=0)
        style = f.number(6)
        if style == 0:
            f.add(f'{whole:%Y/%m/%d %H:%M:%S} {text(f)}', whole)
        elif style == 1:
            f.add(f'{at:%Y/%m/%d %H:%M:%S}{frac(at, 6)} place.go:{f.number(99)}: {text(f)}', at)
        elif style == 2:
            f.add(f'{whole:%Y/%m/%d %H:%M:%S} http: TLS handshake error from 192.0.2.1:1234: EOF', whole)
        elif style == 3:
            word, level = f.pick(('INFO', I), ('WARN', W), ('ERROR', E), ('DEBUG', D))
            f.add(f'{whole:%Y/%m/%d %H:%M:%S} {word} {text(f)} id=7', whole, level)
        elif style == 4:
            word, level, name = f.pick(('INFO', I, None), ('WARN', W, None), ('ERRO', E, None), ('DEBU', D, None), ('FATA', E, 'fatal'))
            f.add(f'{word}[{f.number(9999):04d}] {text(f)}', None, level, name)
        else:
            f.add(f'{whole:%Y/%m/%d %H:%M:%S} starting', whole)
            f.add(GO[0], None, E, 'panic')
            f.more(*GO[1:])
    f.write()


def others():
    """Rails, Monolog, .NET's console, Serilog, Minecraft, Maven, Elixir, auditd, Squid, journalctl, BIND, dmesg."""
    f = Format('others', 'Europe/Berlin')
    while not f.full:
        at = f.time(3)
        whole = at.replace(microsecond=0)
        u = at.astimezone(UTC)
        style = f.number(13)
        if style == 0:
            word, level, name = f.pick(('DEBUG', D, None), ('INFO', I, None), ('WARN', W, None), ('ERROR', E, None), ('FATAL', E, 'fatal'))
            f.add(f'{word[0]}, [{iso(at, 6)} #{f.number(9999)}] {word:>5} -- : {text(f)}', at, level, name)
        elif style == 1:
            word, level, name = f.pick(('DEBUG', D, None), ('NOTICE', I, None), ('WARNING', W, None), ('ERROR', E, None), ('CRITICAL', E, 'CRITICAL'), ('EMERGENCY', E, 'EMERGENCY'))
            f.add(f'[{iso(at, 6, zone=offset(at))}] app.{word}: {text(f)} [] []', at, level, name)
        elif style == 2:
            word, level, name = f.pick(('trce', T, None), ('dbug', D, None), ('info', I, None), ('warn', W, None), ('fail', E, None), ('crit', E, 'crit'))
            f.add(f'{word}: Shop.Orders[14]', None, level, name)
            f.more(f'      {text(f)}')
        elif style == 3:
            word, level, name = f.pick(('VRB', T, None), ('DBG', D, None), ('INF', I, None), ('WRN', W, None), ('ERR', E, None), ('FTL', E, 'fatal'))
            f.add(f'[{whole:%H:%M:%S} {word}] {text(f)}', None, level, name)
        elif style == 4:
            word, level = f.pick(('INFO', I), ('WARN', W), ('ERROR', E))
            f.add(f'[{whole:%H:%M:%S}] [Server thread/{word}]: {text(f)}', None, level)
        elif style == 5:
            word, level = f.pick(('INFO', I), ('WARNING', W), ('ERROR', E), ('DEBUG', D))
            f.add(f'[{word}] {text(f)}', None, level)
        elif style == 6:
            word, level = f.pick(('debug', D), ('info', I), ('notice', I), ('warning', W), ('error', E))
            f.add(f'{whole:%H:%M:%S}{frac(at, 3)} [{word}] {text(f)}', None, level)
        elif style == 7:
            f.add(f'type=SYSCALL msg=audit({at.timestamp():.3f}:{f.number(9999)}): arch=c000003e syscall=59 success=yes', at)
        elif style == 8:
            f.add(f'{at.timestamp():.3f}  {f.number(999):5d} 192.0.2.7 TCP_MISS/200 {f.number(9999)} GET http://example.com/ - DIRECT/192.0.2.8 text/html', at)
        elif style == 9:
            f.add(f'{iso(whole, 0, zone=offset(whole, False))} host-{f.number(9)} sshd[311]: {text(f)}', whole)
        elif style == 10:
            word, level = f.pick(('info', I), ('warning', W), ('error', E))
            f.add(f'{at:%d}-{MONTHS[at.month - 1]}-{at:%Y %H:%M:%S}{frac(at, 3)} general: {word}: {text(f)}', at, level)
        elif style == 11:
            f.add(f'{text(f)}')
        else:
            f.add(f'[{f.number(9999):5d}.{f.number(999999):06d}] usb 1-1: new high-speed USB device number {f.number(9)}')
    f.write()


os.makedirs(HERE, exist_ok=True)
for each in (iso_8601, rfc_3164, rfc_5424, log4j, logback, spark, hdfs, android_threadtime, android_brief,
             nginx_error, access, apache_error, python_logging, klog, glog, logfmt, containers, postgresql,
             mysql, redis, java_util_logging, node_console, go, others):
    each()
