"""The warm Python of pawl's operator `python`: takes calls as lines of JSON, one after the other.

It is also the module `pawl` that the called functions may import. Standard library only, Python 3.9
and later. The protocol is described in docs/plugins.md, the operator in docs/operators.md.

With one thread, calls run on the main thread. Only that thread reads while no call runs; while one
runs, the ticker looks for a cancellation ten times a second and raises `Cancelled` in the call by a
signal. With more threads, the main thread reads, and each call has one of the threads.
"""

import _signal
import codecs
import collections
import contextvars
import faulthandler
import importlib
import importlib.machinery
import io
import json
import os
import queue
import resource
import select
import signal
import sys
import threading
import time
import traceback
import types

__all__ = ["attempt", "Attempt", "Cancelled", "Deferred", "Permanent", "Skipped"]

_TICK_S = 0.1
_CHECK_MODULES_S = 0.1
_CLOCK_STEP_S = 0.02  # times of files come from a clock that steps
_YOUNG_S = 2  # of a file: above the second that compiled code is told apart by
_TICKS_PER_PART = 10
_FLUSH_S = 0.02
_LOG_BYTES = 8 << 10
_DEFER_S_MAX = 366 * 86_400
_LOG_TEXT_MAX = 1 << 20
_LATE_MAX = 100_000  # prints within a print
_OUTPUT_BYTES_MAX = 1 << 20
# More than is kept: the host cuts what it gets when it has hidden secrets in it.
_MESSAGE_CHARS_MAX = 64 << 10
_TRACE_CHARS_MAX = 64 << 10
# Real-time signals are nobody's; this one interrupts what the call waits for.
_CANCEL_SIGNAL = signal.SIGRTMIN + 9

_Decoder = codecs.getincrementaldecoder("utf-8")
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Cancelled(BaseException):
    """Raised in a call that was cancelled or timed out. Clean up and let it pass."""


class Permanent(Exception):
    """A failure that another attempt would only repeat."""


class Skipped(BaseException):
    """Raised by `Attempt.skip`."""


class Deferred(BaseException):
    """Raised by `Attempt.defer`."""

    def __init__(self, after_ms, state):
        super().__init__(f"in {after_ms} ms")
        self.after_ms = after_ms
        self.state = state


_current = contextvars.ContextVar("pawl_attempt", default=None)
_serial_current = None  # the attempt of a one-thread interpreter, for threads that a call makes


def attempt():
    """The attempt that this code runs for."""
    found = _attempt_here()
    if found is None:
        raise RuntimeError("no attempt runs here: a thread of your own, or not called by pawl")
    return found


def _attempt_here():
    found = _current.get() or _serial_current
    return None if found is None or found._is_over else found


class _Answer:
    """Whether a handle is kept, for the thread that has asked."""

    __slots__ = ("_is_there", "_is_kept")

    def __init__(self):
        self._is_there = threading.Event()
        self._is_kept = False

    def give(self, is_kept):
        self._is_kept = is_kept
        self._is_there.set()

    def is_there(self):
        return self._is_there.is_set()

    def wait(self):
        self._is_there.wait()
        return self._is_kept


class Attempt:
    """What a call may know of its attempt, and say about it."""

    __slots__ = (
        "_start",
        "_runner",
        "_cancelled",
        "_is_over",
        "_logs",
        "_decoders",
        "_asking",
        "_answers",
        "_cpu_began_ns",
    )

    def __init__(self, start, runner):
        self._start = start
        self._runner = runner
        self._cancelled = False
        self._is_over = False
        # What waits for the end of its line, or of its character, under the channel's lock.
        self._logs = {"out": "", "err": ""}
        self._decoders = {}
        self._asking = threading.Lock()
        self._answers = collections.deque()  # that are waited for, in the order of their questions
        self._cpu_began_ns = None  # of its thread, where others have calls too

    id = property(lambda self: self._start["attempt"])
    number = property(lambda self: self._start["number"])
    job = property(lambda self: self._start["job"])
    run = property(lambda self: self._start["run"])
    task = property(lambda self: self._start["task"])
    item = property(lambda self: self._start.get("item"))
    key = property(lambda self: self._start.get("key", ""))
    index = property(lambda self: self._start.get("index"))
    idempotency_key = property(lambda self: self._start["idempotency_key"])
    env = property(lambda self: self._start["env"])
    working_dir = property(lambda self: self._start["working_dir"])
    handle = property(lambda self: self._start.get("handle", ""))
    state = property(lambda self: self._start.get("state", ""))

    @property
    def scratch(self):
        """A folder of its own, removed after the attempt."""
        os.makedirs(self._start["scratch"], mode=0o700, exist_ok=True)
        return self._start["scratch"]

    @property
    def deadline(self):
        """When it will be cancelled, in seconds since 1970; None: never."""
        at = self._start.get("deadline_ms")
        return None if at is None else at / 1000

    def heartbeat(self):
        """It is alive: `stall_timeout` counts from now."""
        self._runner.channel.send(f'{{"type":"heartbeat","attempt":{self.id}}}\n')

    def progress(self, fraction, text=""):
        """How far it is, from 0 to 1, and in words. A heartbeat."""
        fraction = min(1.0, max(0.0, float(fraction)))
        self._runner.channel.send(
            f'{{"type":"progress","attempt":{self.id},"fraction":{fraction!r},'
            f'"text":{_encode_text(str(text))}}}\n'
        )

    def is_cancelled(self):
        return self._cancelled

    def set_handle(self, handle):
        """Names something that lives outside, a remote job. True once it will outlive this process:
        a later attempt of the same work gets it as `handle`. The empty text takes it back."""
        if self._runner.channel.is_closed:
            return False  # a fork has nobody to ask
        return self._runner.set_handle(self, str(handle))

    def _ask(self, handle):
        answer = _Answer()
        with self._asking:
            self._answers.append(answer)
            self._runner.channel.send(_handle_line(self, handle))
        return answer

    def _hear(self, is_kept):
        self._answers.popleft().give(is_kept)

    def secret(self, name):
        """The value of a secret that the task names."""
        secrets = self._start.get("secrets", {})
        if name not in secrets:
            others = "only " + ", ".join(sorted(secrets)) if secrets else "and no other"
            raise KeyError(f"the task names no secret {name!r}, {others}")
        return secrets[name]

    def defer(self, after, state=""):
        """Ends the call; it is made again after so many seconds (or a timedelta), with `state`."""
        seconds = after.total_seconds() if hasattr(after, "total_seconds") else float(after)
        if not 0 <= seconds <= _DEFER_S_MAX:
            raise ValueError(f"defer: 0 s to 366 days, not {seconds:g} s")
        raise Deferred(round(seconds * 1000), str(state))

    def skip(self, message=""):
        """Ends the call: there is nothing to do. What follows sees a skipped task."""
        raise Skipped(str(message))

    def _take_lines(self, stream, text):
        """Messages of the lines that are whole with `text`, which may be bytes; of a part of one
        when it has become long. What progress bars write over is a line too."""
        if isinstance(text, bytes):
            text = self._decode(stream, text)
        whole = self._logs[stream] + text
        if "\n" not in text and "\r" not in text and len(whole) < _LOG_BYTES:
            self._logs[stream] = whole
            return ""
        cut = max(whole.rfind("\n"), whole.rfind("\r")) + 1 or len(whole)
        self._logs[stream] = whole[cut:]
        return self._log_lines(stream, whole[:cut])

    def _decode(self, stream, data):
        """A character may come in pieces."""
        decoder = self._decoders.get(stream)
        if decoder is None:
            decoder = self._decoders[stream] = _Decoder("backslashreplace")
        return decoder.decode(data)

    def _take_rest(self, stream):
        rest, self._logs[stream] = self._logs[stream], ""
        return self._log_lines(stream, rest)

    def _log_lines(self, stream, text):
        lines = ""
        for at in range(0, len(text), _LOG_TEXT_MAX):
            part = _encode_text(text[at : at + _LOG_TEXT_MAX])
            lines += f'{{"type":"log","attempt":{self.id},"stream":"{stream}","text":{part}}}\n'
        return lines

    def _rest_of_logs(self):
        if not self._logs["out"] and not self._logs["err"] and not self._decoders:
            return ""
        return self._runner.channel.alone(self._take_all)

    def _take_all(self):
        for stream, decoder in self._decoders.items():
            self._logs[stream] += decoder.decode(b"", final=True)
        return self._take_rest("out") + self._take_rest("err")


def _encode_text(text):
    # Half a surrogate pair cannot be sent.
    return _encode(text.encode("utf-8", "backslashreplace").decode("utf-8"))


# --- what is printed ------------------------------------------------------------------------------


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`."""

    def __init__(self, text):
        self._text = text

    def writable(self):
        return True

    def write(self, data):
        self._text.write_bytes(bytes(data))
        return len(data)

    def flush(self):
        self._text.flush()

    def fileno(self):
        return self._text.fileno()


class _Text(io.TextIOBase):
    """`sys.stdout` and `sys.stderr`: to the log of the attempt that writes, else to the worker's."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, stream, descriptor):
        self._stream = stream
        self._descriptor = descriptor
        self.buffer = _Bytes(self)

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        found = self._attempt()
        if found is None:
            _write_all(self._descriptor, text.encode("utf-8", "backslashreplace"))
        else:
            found._runner.channel.log(found, self._stream, text)
        return len(text)

    def write_bytes(self, data):
        found = self._attempt()
        if found is None:
            _write_all(self._descriptor, data)
        else:
            found._runner.channel.log(found, self._stream, data)

    def flush(self):
        found = self._attempt()
        if found is not None:
            found._runner.channel.flush_log(found, self._stream)

    def _attempt(self):
        found = _attempt_here()
        return None if found is None or found._runner.channel.is_closed else found

    def reconfigure(self, **_):
        pass

    def fileno(self):
        return self._descriptor


_streams = ()


def _put_back_streams():
    sys.stdout, sys.stderr = _streams


def _write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data) :]


# --- lines ----------------------------------------------------------------------------------------


class _Channel:
    """The two pipes to the host. What is printed by others (C code, programs) goes to standard error,
    which the host reads too."""

    def __init__(self):
        self._input = os.dup(0)
        self._output = os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        self._rest = b""
        self._lock = threading.RLock()
        self._late = collections.deque()  # what came while its own thread was in here
        self._lost = 0  # of what came then, for which there was no room
        self._unsent = []
        self._unsent_size = 0
        self._sent_at = 0.0
        self._ticks = 0
        self.is_closed = False
        self.sender = None  # the thread that is writing: no exception may come between

    def close_after_fork(self):
        """In a fork of the interpreter, which is no end of these pipes. A fork of that one calls it
        too, when the numbers may have become those of files of the user's."""
        if self.is_closed:
            return
        self.is_closed = True
        os.close(self._input)
        os.close(self._output)
        self._lock = threading.RLock()
        self.sender = None
        self._late.clear()
        self._lost = 0

    def receive(self):
        """Waits for lines. None: the host is gone."""
        data = os.read(self._input, 1 << 18)
        if not data:
            return None
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        return [json.loads(line.decode("utf-8")) for line in lines]

    def has_input(self):
        return bool(select.select([self._input], [], [], 0)[0])

    def send(self, lines):
        if not self.is_closed:
            self.alone(self._send, lines)

    def log(self, found, stream, text):
        """What a call prints. As in any Python, lines of standard error wait for nothing: they may
        be its last words. Those of standard output go together with others that come soon."""
        self.alone(self._log, found, stream, text)

    def flush_log(self, found, stream):
        """All that was printed goes now, a line that is not whole too."""
        self.alone(self._flush_log, found, stream)

    def tick(self, attempts):
        """Ten times a second. What was printed goes, and once a second what is no line yet: somebody
        may be looking, and it is a sign of life."""
        self._ticks += 1
        if self._ticks % _TICKS_PER_PART == 0:
            for found in attempts:
                self.flush_log(found, "out")
                self.flush_log(found, "err")
        self.alone(self._flush)

    def alone(self, work, *arguments):
        """Its result, with no other thread in here. A finalizer, or who handles a signal, may print
        while its own thread is at it: that waits until the thread is done, and None is returned.
        More than can wait is an error, as for any file of Python that is written to within a write;
        it is raised once the pipe is free, for it would tear the line that is being written.
        """
        with self._lock:
            if self.sender is not None:
                if len(self._late) < _LATE_MAX:
                    self._late.append((work, arguments))
                else:
                    self._lost += 1
                return None
            self._do_late()
            result = self._hold(work, arguments)
            self._do_late()
            lost, self._lost = self._lost, 0
            if lost > 0:
                raise RuntimeError(f"{lost} prints are lost: too much was printed within a print")
            return result

    def _do_late(self):
        while self._late:
            self._hold(self._do_next_late, ())

    def _do_next_late(self):
        # Who handled a signal since the last look has done it all, before what is its own.
        if self._late:
            work, arguments = self._late.popleft()
            work(*arguments)

    def _hold(self, work, arguments):
        self.sender = threading.get_ident()
        try:
            return work(*arguments)
        finally:
            self.sender = None

    def _send(self, lines):
        self._add(lines)
        self._flush()

    def _log(self, found, stream, text):
        self._add(found._take_lines(stream, text))
        is_full = self._unsent_size >= 2 * _LOG_BYTES
        if stream == "err" or is_full or time.monotonic() - self._sent_at >= _FLUSH_S:
            self._flush()

    def _flush_log(self, found, stream):
        self._send(found._take_rest(stream))

    def _add(self, lines):
        if lines:
            self._unsent.append(lines)
            self._unsent_size += len(lines)

    def _flush(self):
        if not self._unsent:
            return
        data = "".join(self._unsent).encode("utf-8")
        self._unsent.clear()
        self._unsent_size = 0
        self._sent_at = time.monotonic()
        _write_all(self._output, data)


# --- calls ----------------------------------------------------------------------------------------


def _member(owner, name):
    try:
        return getattr(owner, name)
    except AttributeError as error:
        # It may be another file than its author thinks, as one of the standard library.
        file = getattr(owner, "__file__", None)
        if file is None:
            raise
        raise AttributeError(f"{error} ({file})") from None


class _Modules:
    """Functions by name, and whether the files they came from are still the same."""

    def __init__(self, path):
        self._path = tuple(os.path.join(os.path.realpath(one), "") for one in path)
        self._plain_path = tuple(os.path.join(os.path.abspath(one), "") for one in path)
        self._functions = {}
        self._files = {}
        self._module_count = len(sys.modules)
        self._checked_at = 0.0
        self._is_stale = False
        self._lock = threading.Lock()
        self.when_imported = lambda: None

    def function(self, call):
        found = self._functions.get(call)
        return found if found is not None else self._load(call)

    def _load(self, call):
        module, colon, name = call.partition(":")
        if not colon or not module or not name:
            raise ValueError(f'"call" expects "module:function", this is {call!r}')
        # A file may be newer than what was remembered of its folder.
        importlib.invalidate_caches()
        found = importlib.import_module(module)
        self.when_imported()
        for part in name.split("."):
            found = _member(found, part)
        if not callable(found):
            raise TypeError(f"{call} cannot be called: it is a {type(found).__name__}")
        self._functions[call] = found
        return found

    def have_changed(self):
        """Whether a file of the folders in `path` that was imported is another one now."""
        now = time.monotonic()
        if now - self._checked_at < _CHECK_MODULES_S:
            return self._is_stale
        self._checked_at = now
        with self._lock:
            if any(_version(file) != version for file, version in self._files.items()):
                self._is_stale = True
        return self._is_stale

    def remember(self, started_at):
        """To be called after a call that began at `started_at`: notes what it has imported."""
        if len(sys.modules) == self._module_count:
            return
        with self._lock:
            modules = list(sys.modules.values())
            self._module_count = len(modules)
            for module in modules:
                file = getattr(module, "__file__", None)
                if not isinstance(file, str) or file in self._files or not self._is_ours(file):
                    continue
                version = self._files[file] = _version(file)
                # Written since: nobody knows which version was read.
                if version is None or version[0] >= (started_at - _CLOCK_STEP_S) * 1e9:
                    self._is_stale = True

    def _is_ours(self, file):
        if not file.startswith(self._path) and not file.startswith(self._plain_path):
            return False
        if "/site-packages/" in file or "/dist-packages/" in file or file == __file__:
            return False
        return not file.startswith(_STANDARD_LIBRARY)


def _compile_young_files_anew():
    """Python takes compiled code that it finds (`__pycache__`) for that of a file when the second
    and the size are the same: it would go on with the code that a file had a moment before. Of
    files that may still change within their second none is taken and none is left."""
    loader = importlib.machinery.SourceFileLoader
    path_stats = loader.path_stats

    def path_stats_of_old(self, path):
        found = path_stats(self, path)
        if time.time() - found["mtime"] < _YOUNG_S:
            raise OSError(f"{path} was changed a moment ago")
        return found

    loader.path_stats = path_stats_of_old


_STANDARD_LIBRARY = os.path.join(os.path.dirname(os.__file__), "")


def _version(file):
    try:
        status = os.stat(file)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _finish(found, outcome, members=""):
    # Told, it costs a tenth of what the host's look at this process would.
    members += f',"memory_bound_bytes":{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}'
    if found._cpu_began_ns is not None:
        members += f',"cpu_us":{(time.thread_time_ns() - found._cpu_began_ns) // 1000}'
    return f'{found._rest_of_logs()}{{"type":"finish","attempt":{found.id},"outcome":"{outcome}"{members}}}\n'


def _last_lines(text):
    cut = len(text) - _TRACE_CHARS_MAX
    return text if cut <= 0 else text[text.find("\n", cut) + 1 :]


def _failed(found, error_class, message, trace="", reason="error"):
    return _finish(
        found,
        "failed",
        f',"class":{_encode_text(error_class)},"message":{_encode_text(message[:_MESSAGE_CHARS_MAX])},'
        f'"trace":{_encode_text(_last_lines(trace))},"reason":"{reason}"',
    )


def _name(kind):
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_permanent(kind, words):
    if issubclass(kind, Permanent):
        return True
    for base in kind.__mro__:
        if base.__name__ in words or base.__qualname__ in words or _name(base) in words:
            return True
    return False


def _is_own(file):
    return file == __file__ or file == importlib.__file__ or file.startswith("<frozen importlib")


def _text_of(error):
    """What it says; whatever its own code may do when it is asked."""
    try:
        return str(error)
    except BaseException as other:
        return f"its message cannot be made: {_name(type(other))}"


def _trace_of(error):
    """As Python prints it, from the called function on."""
    trace = error.__traceback__
    while trace is not None and _is_own(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    try:
        described = traceback.TracebackException(type(error), error, trace)
        # A cancellation comes from within: from the handler of a signal.
        described.stack[:] = [frame for frame in described.stack if frame.filename != __file__]
        return "".join(described.format())
    except BaseException as other:
        # An exception may hold what its kind never has, as a SyntaxError whose line is a text.
        frames = "".join(traceback.format_tb(trace))
        return f"{frames}{_name(type(error))}, which cannot be printed: {_name(type(other))}\n"


def _describe(found, error):
    """The line for an exception that left the call."""
    kind = type(error)
    message = _text_of(error)
    # As Python itself prints it: of a KeyError the message is the key alone, of many others nothing.
    # In these two it is a sentence of whoever wrote the call.
    if kind not in (Permanent, SystemExit):
        message = f"{_name(kind)}: {message}" if message else _name(kind)
    words = found._start["parameters"].get("permanent", ())
    reason = "permanent" if _is_permanent(kind, words) else "error"
    return _failed(found, _name(kind), message, _trace_of(error), reason)


def _repeated_key(value):
    """A key that JSON would have twice, as of {1: …, "1": …}: whoever reads it has one of the two.
    None: there is none. Of a value that can be written as JSON."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            if not all(isinstance(key, str) for key in part):
                pairs = json.loads(_encode(dict.fromkeys(part, 0)), object_pairs_hook=list)
                names = collections.Counter(name for name, _ in pairs)
                [(name, count)] = names.most_common(1)
                if count > 1:
                    return name
            left.extend(part.values())
        elif isinstance(part, (list, tuple)):
            left.extend(part)
    return None


def _succeeded(found, value):
    if found._start["output_format"] == "none":
        return _finish(found, "succeeded")
    try:
        text = _encode(value)
        is_text = found._start["output_format"] == "text" and isinstance(value, str)
        size = len((value if is_text else text).encode("utf-8"))
        repeated = None if size > _OUTPUT_BYTES_MAX else _repeated_key(value)
        if repeated is not None:
            raise ValueError(f"of a dict two keys are {_encode(repeated)} there")
    except BaseException as error:  # it may run code of whoever made the value
        what = f"what the function returned cannot be written as JSON: {_text_of(error)}"
        return _failed(found, _name(type(error)), what, reason="output")
    if size > _OUTPUT_BYTES_MAX:
        as_json = "" if is_text else " as JSON"
        what = f"what the function returned has {size} bytes{as_json}, more than 1 MiB"
        return _failed(found, "OutputTooLarge", what, reason="output")
    return _finish(found, "succeeded", f',"output":{text}')


_GENERATORS = (types.GeneratorType, types.AsyncGeneratorType)


def _what_to_return_instead(call, generator):
    is_async = type(generator) is types.AsyncGeneratorType
    better = "[one async for one in …]" if is_async else "list(…)"
    return (
        f"{call} gave a generator, and nothing of it has run: a function with `yield` runs only "
        f"as its values are taken. Return them instead, as in `return {better}`"
    )


def _function_of(call, modules):
    try:
        return modules.function(call)
    except SystemExit as error:
        why = f"{call}: to import its module ends the program (sys.exit), so nothing was called"
        raise ImportError(why).with_traceback(error.__traceback__) from None


def _call(found, modules):
    parameters = found._start["parameters"]
    started_at = time.time()
    try:
        function = _function_of(parameters["call"], modules)
        value = function(*parameters.get("args", ()), **parameters.get("kwargs", {}))
        if type(value) is types.CoroutineType:
            import asyncio

            value = asyncio.run(value)
        if type(value) in _GENERATORS:
            raise Permanent(_what_to_return_instead(parameters["call"], value))
        return value
    finally:
        if found._runner.channel.is_closed:
            _end_fork(sys.exc_info()[1])
        modules.remember(started_at)


def _end_fork(error):
    """Ends a fork of the interpreter that came back from the call, with `error` or without: as
    Python ends a program, for whoever waits for it. But what `atexit` knows is the interpreter's,
    which goes on with the same children and connections: nothing of that is called."""
    status = 1
    try:
        status = _exit_status(error)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _exit_status(error):
    """What Python exits with when this leaves a program, which it says on standard error."""
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        sys.stderr.write(_trace_of(error))
        return 1
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def _line_of_error(found, error):
    """How a call ended that did not return. Who raises what cannot be told has failed all the same:
    an attempt without an end would be waited for."""
    try:
        return _line_of_known_error(found, error)
    except BaseException as other:
        what = f"{_name(type(error))}, which cannot be told: {_name(type(other))}: {_text_of(other)}"
        return _failed(found, _name(type(error)), what)


def _line_of_known_error(found, error):
    if isinstance(error, Skipped):
        return _finish(found, "skipped", f',"message":{_encode_text(str(error))}')
    if isinstance(error, Deferred):
        after = f',"after_ms":{int(error.after_ms)},"state":{_encode_text(error.state)}'
        return _finish(found, "deferred", after)
    if isinstance(error, SystemExit) and not error.code:
        return _succeeded(found, None)
    return _describe(found, error)


class _Ticker:
    """Calls `tick` ten times a second while there is work, on a thread of its own."""

    def __init__(self, is_busy, tick):
        self._is_busy = is_busy
        self._tick = tick
        self._wake = threading.Event()
        self._sleeps = False
        threading.Thread(target=self._run, name="pawl ticker", daemon=True).start()

    def work_begins(self):
        if self._sleeps:
            self._wake.set()

    def _run(self):
        while True:
            if not self._is_busy():
                self._sleeps = True
                if not self._is_busy():
                    self._wake.wait()
                self._sleeps = False
                self._wake.clear()
            time.sleep(_TICK_S)
            self._tick()


def _stop_timers():
    """Or one that a call left running would end a later one, of somebody else."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.setitimer(signal.ITIMER_PROF, 0)
    faulthandler.cancel_dump_traceback_later()


# Asked of `_signal` all these take a microsecond; `signal` makes enumerations of them, and takes 18.
_SIGNALS = (*range(1, 32), _CANCEL_SIGNAL)


def _signal_handlers():
    return list(map(_signal.getsignal, _SIGNALS))


class _ProcessState:
    """What a call may change of the process and leave behind for the next one, which need not be of
    the same job. Only for calls that run one at a time, on the main thread."""

    def __init__(self):
        self._umask = 0o077
        self.note()

    def note(self):
        """What is now is what will be put back: also what a module has set while it was imported,
        which happens once."""
        umask = os.umask(self._umask)
        os.umask(umask)
        self._umask = umask
        self._handlers = _signal_handlers()

    def put_back(self):
        _stop_timers()
        os.umask(self._umask)
        if _signal_handlers() != self._handlers:
            self._put_back_handlers()

    def _put_back_handlers(self):
        for number, now, before in zip(_SIGNALS, _signal_handlers(), self._handlers):
            if now is not before and before is not None:  # None: it was set in C
                signal.signal(number, before)


def _give_back(channel, found):
    channel.send(f'{{"type":"return","attempt":{found.id}}}\n')


class _SerialRunner:
    """One call at a time, on the main thread."""

    def __init__(self, channel, modules):
        self.channel = channel
        self._modules = modules
        self._starts = []
        self._reading = threading.Lock()
        self._is_over = False
        self._is_stale = False
        self._may_raise = False  # user code runs
        self._is_due = False  # a cancellation came while it must not be raised
        self._is_reading = False  # the call itself asks and waits for an answer
        self._environment = {}
        self._seen = dict(os.environ._data)
        self._main = threading.get_ident()
        signal.signal(_CANCEL_SIGNAL, self._on_signal)
        self._process_state = _ProcessState()
        modules.when_imported = self._process_state.note
        self._ticker = _Ticker(lambda: _serial_current is not None, self._tick)

    def run(self):
        while not self._is_over:
            if self._starts:
                self._take(self._starts[0])
            else:
                self._read()

    def _read(self):
        with self._reading:
            if self._starts or self._is_over:
                return
            self._handle(self.channel.receive())

    def _handle(self, messages):
        if messages is None:
            if _serial_current is not None:
                os.killpg(0, signal.SIGKILL)  # the host is gone: nobody waits for the call
            self._is_over = True
            return
        for message in messages:
            kind = message["type"]
            found = _serial_current
            if kind == "start":
                self._starts.append(Attempt(message, self))
            elif kind == "shutdown":
                self._is_over = True
            elif kind == "cancel":
                self._cancel(message["attempt"])
            elif kind == "kept" and found is not None and found.id == message["attempt"]:
                found._hear(message["kept"])

    def _cancel(self, attempt):
        # Those that wait first: an attempt becomes the current one before it stops to wait.
        for found in (*self._starts, _serial_current):
            if found is not None and found.id == attempt:
                found._cancelled = True
        signal.pthread_kill(self._main, _CANCEL_SIGNAL)

    def _tick(self):
        found = _serial_current
        if found is None:
            return
        self.channel.tick((found,))
        if self._is_due:
            self._is_due = False
            signal.pthread_kill(self._main, _CANCEL_SIGNAL)
        if self._reading.acquire(blocking=False):
            try:
                if self.channel.has_input():
                    self._handle(self.channel.receive())
            finally:
                self._reading.release()

    def _on_signal(self, *_):
        found = _serial_current
        if found is None or not found._cancelled or not self._may_raise:
            return
        if self._is_reading or self.channel.sender == self._main:
            self._is_due = True  # the ticker tries again
            return
        self._raise_cancelled()

    def _raise_cancelled(self):
        self._may_raise = False  # once
        raise Cancelled("the attempt was cancelled")

    def set_handle(self, found, handle):
        if threading.get_ident() != self._main:
            return found._ask(handle).wait()
        self._is_reading = True
        try:
            answer = found._ask(handle)
            while not answer.is_there():
                with self._reading:
                    if not answer.is_there():
                        self._handle(self.channel.receive())
        finally:
            self._is_reading = False
        return answer.wait()

    def _take(self, found):
        global _serial_current
        if self._is_stale or self._modules.have_changed():
            self._is_stale = True
            self._starts.remove(found)
            return _give_back(self.channel, found)
        _serial_current = found
        self._starts.remove(found)
        self._ticker.work_begins()
        line = self._run_call(found)
        _serial_current = None
        if self.channel.is_closed:
            os._exit(0)  # a fork, made while what the call returned was written
        self.channel.send(line)

    def _run_call(self, found):
        try:
            self._set_surroundings(found)
            try:
                self._may_raise = True
                if found._cancelled:  # when it could not be raised yet
                    self._raise_cancelled()
                value = _call(found, self._modules)
            finally:
                self._may_raise = False
                self._process_state.put_back()
        except BaseException as error:
            return _line_of_error(found, error)
        return _succeeded(found, value)

    def _set_surroundings(self, found):
        """Environment, working folder and what is printed are the attempt's, whatever the call
        before left."""
        _put_back_streams()
        environment = found.env
        if os.environ._data != self._seen:
            for name in list(os.environ):
                if name not in environment:
                    del os.environ[name]
            self._environment = {}
        before = self._environment
        if environment != before:
            for name, value in environment.items():
                if before.get(name) != value:
                    os.environ[name] = value
            for name in before.keys() - environment.keys():
                os.environ.pop(name, None)
            self._environment = environment
            self._seen = dict(os.environ._data)
        os.chdir(found.working_dir)


def _give_attempts_to_threads():
    """A thread that a call starts is of its attempt, and what it hands over to a pool of threads,
    which may have been there before. By itself no context variable goes along."""
    import concurrent.futures

    executor = concurrent.futures.ThreadPoolExecutor
    start, submit = threading.Thread.start, executor.submit

    def start_for_attempt(thread):
        found = _current.get()
        if found is not None:
            run = thread.run

            def run_for_attempt():
                thread.__dict__.pop("run", None)
                _run_for(found, run)

            thread.run = run_for_attempt
        start(thread)

    def submit_for_attempt(threads, function, /, *args, **kwargs):
        found = _current.get()
        if found is None:
            return submit(threads, function, *args, **kwargs)
        return submit(threads, _run_for, found, function, *args, **kwargs)

    threading.Thread.start = start_for_attempt
    executor.submit = submit_for_attempt


def _run_for(found, function, /, *args, **kwargs):
    before = _current.set(found)
    try:
        return function(*args, **kwargs)
    finally:
        _current.reset(before)


class _PoolRunner:
    """Many calls at once, each on a thread that stays."""

    def __init__(self, channel, modules, threads):
        self.channel = channel
        self._modules = modules
        self._attempts = {}
        self._coming_and_going = threading.Lock()
        self._is_stale = False
        self._queue = queue.SimpleQueue()
        _give_attempts_to_threads()
        self._ticker = _Ticker(lambda: bool(self._attempts), self._tick)
        for number in range(threads):
            name = f"pawl {number + 1}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def run(self):
        while True:
            messages = self.channel.receive()
            if messages is None:
                if self._attempts:
                    os.killpg(0, signal.SIGKILL)
                return
            for message in messages:
                if message["type"] == "shutdown":
                    return
                self._handle(message)

    def _handle(self, message):
        kind = message["type"]
        if kind == "start":
            found = Attempt(message, self)
            if self._is_stale or self._modules.have_changed():
                self._is_stale = True
                return _give_back(self.channel, found)
            if not self._attempts:
                _put_back_streams()
            with self._coming_and_going:
                self._attempts[found.id] = found
            self._ticker.work_begins()
            return self._queue.put(found)
        found = self._attempts.get(message.get("attempt"))
        if found is None:
            return
        if kind == "cancel":
            found._cancelled = True
        elif kind == "kept":
            found._hear(message["kept"])

    def _tick(self):
        self.channel.tick(list(self._attempts.values()))

    def set_handle(self, found, handle):
        return found._ask(handle).wait()

    def _work(self):
        while True:
            found = self._queue.get()
            _current.set(found)
            found._cpu_began_ns = time.thread_time_ns()
            try:
                line = _succeeded(found, _call(found, self._modules))
            except BaseException as error:
                line = _line_of_error(found, error)
            _current.set(None)
            found._is_over = True
            if self.channel.is_closed:
                os._exit(0)
            self._forget(found)
            self.channel.send(line)

    def _forget(self, found):
        with self._coming_and_going:
            del self._attempts[found.id]
            if not self._attempts:  # of others it could be theirs
                _stop_timers()


def _handle_line(found, handle):
    return f'{{"type":"handle","attempt":{found.id},"handle":{_encode_text(handle)}}}\n'


def _main():
    options = json.loads(sys.argv[1])
    # As a program that was started by hand would see it.
    sys.argv = [""]
    channel = _Channel()
    os.register_at_fork(after_in_child=channel.close_after_fork)
    sys.stdin = open(0, encoding="utf-8")
    global _streams
    _streams = (_Text("out", 1), _Text("err", 2))
    _put_back_streams()
    faulthandler.enable(2, all_threads=False)
    modules = _Modules(options["path"])
    _compile_young_files_anew()
    if options["threads"] == 1:
        runner = _SerialRunner(channel, modules)
    else:
        runner = _PoolRunner(channel, modules, options["threads"])
    # Now that all is imported that this file needs: a file there may have the name of a module of
    # the standard library.
    sys.path[:1] = options["path"]
    channel.send('{"type":"ready","protocol":1,"capabilities":["cancel"]}\n')
    runner.run()


for _kind in (Attempt, Cancelled, Deferred, Permanent, Skipped):
    _kind.__module__ = "pawl"
attempt.__module__ = "pawl"
sys.modules["pawl"] = sys.modules[__name__]

if __name__ == "__main__":
    _main()
