"""libtrophy for Python: events that count once, a queue that loses none. It needs only ctypes.

    with trophy.Client() as client:                      # the API key: TROPHY_API_KEY
        client.event("words-written", "18", 750, idempotency_key="chapter-1")

Any thread may use a client. The library is found by TROPHY_LIBRARY (its full path), else beside this
file, where the wheel has it, else by the system.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import ctypes.util
import functools
import itertools
import json
import logging
import math
import os
import sys
import threading
import time
import weakref
from collections import deque
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from types import TracebackType
from typing import Any, Callable, Deque, Iterator, Mapping, NamedTuple, TypeVar, Union

__all__ = ["Client", "Delivery", "Ending", "TrophyError", "log_to", "verify_webhook", "version"]

Json = Any
#: An id, or an object with one: {"id": "18", "name": "Ada", "attributes": {"plan": "pro"}}.
User = Union[str, Mapping[str, Any]]

_OK, _INVALID_ARGUMENT, _CLOSED, _CANCELLED, _TIMEOUT, _INVALID_RESPONSE = 0, 1, 2, 3, 11, 13
#: How long a wait in C is deaf to Ctrl-C.
_SLICE_MS = 100


class TrophyError(Exception):
    """A call that failed. `code` says how: "not_found", "rate_limited", "invalid_argument", "closed", …"""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        self.status = status
        self.code: str = error.get("code", "unknown")
        self.message: str = error.get("message", "")
        self.http_status: int | None = error.get("httpStatus")
        self.attempts: int | None = error.get("attempts")
        self.retry_after_ms: int | None = error.get("retryAfterMs")
        #: What the service sent.
        self.body: Json = error.get("body")
        self._error = error
        super().__init__(f"{self.code}: {self.message}")

    def __reduce__(self) -> tuple[type[TrophyError], tuple[int, Mapping[str, Any]]]:
        # Pickled by what made it: it comes from a pool's process as it was.
        return type(self), (self.status, self._error)


class Delivery(NamedTuple):
    """How a queued event ended: with the service's response, or with an error."""

    idempotency_key: str
    key: str
    user_id: str
    response: Json
    error: TrophyError | None


class Ending(NamedTuple):
    """What was left when a client was closed."""

    #: Events still in the queue: on disk if it has a path, else lost.
    undelivered: int
    #: Calls that had to be cancelled.
    cancelled: int


class Client:
    """A client: its connections, its threads, its queue. One for a process is enough.

    Options are those of trophy.h: Client(timeout_in_seconds=10, queue={"path": "/var/lib/app/trophy"}).
    Where a method takes `options`, they are request options: {"timeout_in_seconds": 2, "tenant_id": "acme"}.
    """

    def __init__(self, api_key: str | None = None, **options: Any) -> None:
        client = ctypes.c_void_p()
        _call(_lib.trophy_client_new, _text("api_key", api_key), _json("", options), ctypes.byref(client))
        self._handle: _Handle | None = _Handle(client, _Shared(options.get("callbacks") == "dispatch"))
        self._owns_client = True

    # The main job: one event, three ways.

    def event(
        self,
        key: str,
        user: User,
        value: float = 1,
        *,
        attributes: Mapping[str, str | None] | None = None,
        idempotency_key: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Json:
        """Adds `value` to the user's metric, waits for the reply, and returns it: achievements, streak, points."""
        arguments = _event(key, user, value, attributes, idempotency_key, options)
        return _reply(_lib.trophy_metrics_event, _lib.trophy_metrics_event_async, self._open(), *arguments)

    def enqueue(
        self,
        key: str,
        user: User,
        value: float = 1,
        *,
        attributes: Mapping[str, str | None] | None = None,
        idempotency_key: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> str:
        """Puts an event into the queue, which delivers it, and returns its idempotency key."""
        arguments = _event(key, user, value, attributes, idempotency_key, options)
        reply = _call(_lib.trophy_metrics_event_enqueue, self._open(), *arguments)
        return str(reply["idempotencyKey"])

    def event_future(
        self,
        key: str,
        user: User,
        value: float = 1,
        *,
        attributes: Mapping[str, str | None] | None = None,
        idempotency_key: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Future[Json]:
        """Sends an event without waiting. Its callbacks run on a thread of the library; cancel() ends the call."""
        arguments = _event(key, user, value, attributes, idempotency_key, options)
        return _start(_lib.trophy_metrics_event_async, self._open(), *arguments)

    async def event_async(
        self,
        key: str,
        user: User,
        value: float = 1,
        *,
        attributes: Mapping[str, str | None] | None = None,
        idempotency_key: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Json:
        """Sends an event in asyncio. A cancelled task, or wait_for()'s timeout, ends the call."""
        return await asyncio.wrap_future(
            self.event_future(
                key, user, value, attributes=attributes, idempotency_key=idempotency_key, options=options
            )
        )

    # The queue.

    def flush(self, timeout: float | None = None) -> int:
        """Waits until the queue is empty, at most `timeout` seconds; returns how many events are undelivered."""
        handle = self._open()
        for milliseconds in _slices(timeout):
            status, reply = _run(_lib.trophy_client_flush, handle, milliseconds)
            if status != _TIMEOUT:
                break
        if status in (_CANCELLED, _CLOSED):
            raise _error(_CANCELLED, "cancelled", "flush: the client was closed meanwhile")
        return int(_success(status, reply, also=_TIMEOUT)["undelivered"])

    def on_delivery(self, callback: Callable[[Delivery], object] | None) -> None:
        """Calls back once for each event that left the queue, on a thread of the library."""
        handle = self._open()
        if callback is None:
            _lib.trophy_client_on_delivery(handle, _NO_CALLBACK, None)
            handle.shared.listener = None
        elif callable(callback):
            handle.shared.listener = callback
            _lib.trophy_client_on_delivery(handle, _callback, handle.shared.number)
        else:
            raise TypeError(f"callback: must be callable, not a {type(callback).__name__}")

    # Every operation, by its name; its parameters, "body" and "options" are the arguments.

    def call(self, operation: str, **args: Any) -> Json:
        """client.call("users_streak", id="18", historyPeriods=14)"""
        arguments = _text("operation", operation), _json("", args)
        return _reply(_lib.trophy_call, _lib.trophy_call_async, self._open(), *arguments)

    def call_future(self, operation: str, **args: Any) -> Future[Json]:
        return _start(_lib.trophy_call_async, self._open(), _text("operation", operation), _json("", args))

    async def call_async(self, operation: str, **args: Any) -> Json:
        return await asyncio.wrap_future(self.call_future(operation, **args))

    def identify(self, user: User, **args: Any) -> Json:
        """Creates the user, or updates what is given."""
        fields = dict(_user(user))
        return self.call("users_identify", id=fields.pop("id", None), body=fields, **args)

    def user(self, user_id: str, **args: Any) -> Json:
        return self.call("users_get", id=user_id, **args)

    def streak(self, user_id: str, **args: Any) -> Json:
        return self.call("users_streak", id=user_id, **args)

    def achievements(self, user_id: str, **args: Any) -> list[Json]:
        return list(self.call("users_achievements", id=user_id, **args))

    def complete_achievement(self, key: str, user: User, **args: Any) -> Json:
        return self.call("achievements_complete", key=key, body={"user": _user(user)}, **args)

    def metric(self, user_id: str, key: str, **args: Any) -> Json:
        return self.call("users_single_metric", id=user_id, key=key, **args)

    def points(self, user_id: str, key: str, **args: Any) -> Json:
        return self.call("users_points", id=user_id, key=key, **args)

    def leaderboard(self, key: str, **args: Any) -> Json:
        return self.call("leaderboards_get", key=key, **args)

    # The client itself.

    def for_tenant(self, tenant_id: str) -> Client:
        """The same client (connections, threads, queue), whose calls are for a tenant.

        Its close() lets go of this handle only; the client ends when it is closed itself.
        """
        handle, client = self._open(), ctypes.c_void_p()
        _call(_lib.trophy_client_for_tenant, handle, _text("tenant_id", tenant_id), ctypes.byref(client))
        tenant = Client.__new__(Client)
        tenant._handle = _Handle(client, handle.shared)
        tenant._owns_client = False
        return tenant

    def set_api_key(self, api_key: str) -> None:
        """Changes the key after it was rotated; a queue that was paused by the old one goes on."""
        _call(_lib.trophy_client_set_api_key, self._open(), _text("api_key", api_key))

    def stats(self) -> dict[str, Any]:
        return dict(_call(_lib.trophy_client_stats, self._open()))

    def dispatch(self, timeout: float | None = 0) -> int:
        """Runs ready callbacks on this thread, for callbacks="dispatch"; None waits for the first for ever.

        What they raise comes out here, when all have run; each error has the one before as its context.
        """
        handle = self._open()
        due = handle.shared.due
        for milliseconds in _slices(timeout):
            ran = _dispatch(handle, 0 if due else milliseconds)
            if ran or due or not handle.shared.is_dispatched or handle.shared.is_closed:
                break
        return _run_due(due)

    def dispatch_on(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Has an asyncio loop dispatch whenever callbacks are ready, for callbacks="dispatch"; None ends that.

        Then callbacks run on the loop's thread, what they raise goes to its exception handler, and awaiting works.
        """
        handle = self._open()
        if loop is None:
            _lib.trophy_client_on_ready(handle, _NO_READY, None)
        elif not isinstance(loop, asyncio.AbstractEventLoop):
            raise TypeError(f"loop: must be an asyncio loop or None, not a {type(loop).__name__}")
        handle.shared.loop = loop
        if loop is not None:
            _lib.trophy_client_on_ready(handle, _ready, handle.shared.number)
            handle.shared.wake_for_due()

    def close(self, timeout: float | None = 5) -> Ending:
        """Delivers what is queued, for at most `timeout` seconds, and ends the client; again, it does nothing.

        A tenant's handle it only lets go of.
        """
        handle = self._handle
        if handle is None:
            return Ending(0, 0)
        ending = _close(handle, timeout) if self._owns_client else Ending(0, 0)
        # Freed when the last call that is still returning in another thread has let go of it.
        self._handle = None
        if self._owns_client:
            handle.shared.dispatch_the_rest(handle)
            _run_due(handle.shared.due)
        return ending

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> _Handle:
        handle = self._handle
        if handle is None:
            raise TrophyError(_CLOSED, {"code": "closed", "message": "this client is closed; make another"})
        # Again, since a forked child has forgotten it.
        _open_handles.add(handle)
        return handle


def verify_webhook(body: bytes, signature: str, secret: str) -> Json:
    """Returns the webhook's JSON if Trophy signed it (X-Trophy-Signature), else raises "invalid_signature"."""
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError(f"body: must be the bytes as they came, not a {type(body).__name__}")
    return _call(
        _lib.trophy_webhook_verify, bytes(body), len(body), _text("signature", signature), _text("secret", secret)
    )


def log_to(logger: logging.Logger | None, level: int = logging.WARNING) -> None:
    """Sends the library's log lines of `level` and above to a logger; None ends it. For the whole process."""
    global _logger
    _logger = logger
    levels = [number for number, name in _LEVELS.items() if name >= level]
    _lib.trophy_log_set_callback(max(levels, default=0), _log if logger else _NO_LOG, None)


def version() -> str:
    return str(_lib.trophy_version().decode())


# Below: how values cross into C and back.


class _Shared:
    """What the handles of a client have in common."""

    def __init__(self, is_dispatched: bool) -> None:
        self.is_dispatched = is_dispatched
        self.is_closed = False
        # Callbacks that came from C and wait to run where it has returned: there they may do anything.
        self.due: Deque[Callable[[], object]] = deque()
        # The asyncio loop that dispatches.
        self.loop: asyncio.AbstractEventLoop | None = None
        self.handles: weakref.WeakSet[_Handle] = weakref.WeakSet()
        # Who hears of deliveries: here, so that a listener which holds its client does not keep both for ever.
        self.listener: Callable[[Delivery], object] | None = None
        # By which callbacks find the listener and the loop.
        self.number = next(_numbers)
        _clients[self.number] = self

    def hear(self, status: int, reply: Json) -> None:
        listener = self.listener
        if listener is None:
            return
        if self.is_dispatched:
            self.due.append(lambda: listener(_delivery(status, reply)))
        else:
            listener(_delivery(status, reply))

    def wake(self) -> None:
        loop = self.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # It is closed, and what is ready waits for the next.
                loop.call_soon_threadsafe(self._dispatch)

    def wake_for_due(self) -> None:
        """For what has come from C already, of which nobody else wakes the loop."""
        if self.due:
            self.wake()

    def dispatch_the_rest(self, handle: _Handle) -> None:
        """Of calls that were slow to notice that they were cancelled: nobody can dispatch a closed client."""
        while any(waiting.later is self.due for waiting in list(_waiting.values())):
            if not _lib.trophy_client_dispatch(handle, 0):
                time.sleep(0.001)

    def _dispatch(self) -> None:
        for handle in list(self.handles)[:1]:
            _lib.trophy_client_dispatch(handle, 0)
        _run_due(self.due)


class _Handle:
    """A trophy_client*, freed when nothing refers to it: so never under a call in another thread."""

    def __init__(self, client: ctypes.c_void_p, shared: _Shared) -> None:
        self._as_parameter_ = client
        self.shared = shared
        shared.handles.add(self)
        weakref.finalize(self, _free, client).atexit = False  # _end is for that
        _open_handles.add(self)


def _free(client: ctypes.c_void_p) -> None:
    # The last reference may go inside a callback, where the library cannot wait for itself.
    if _is_inside():
        threading.Thread(target=_free, args=(client,)).start()
    else:
        _lib.trophy_client_free(client)


def _take(out: ctypes.c_void_p) -> Json:
    """Reads and frees an out_json."""
    try:
        return _decode(ctypes.string_at(out.value)) if out.value else None
    finally:
        _lib.trophy_string_free(out)


def _integer(digits: str) -> int | float:
    # Python refuses to read thousands of digits.
    return int(digits) if len(digits) < 1000 else float(digits)


_DECODER = json.JSONDecoder(parse_int=_integer)


def _decode(text: bytes) -> Json:
    try:
        return _DECODER.decode(text.decode())
    except (ValueError, RecursionError) as problem:
        message = f"the reply cannot be read in Python: {problem}"
        raise _error(_INVALID_RESPONSE, "invalid_response", message) from None


def _error(status: int, code: str, message: str) -> TrophyError:
    return TrophyError(status, {"code": code, "message": message})


def _invalid(message: str) -> TrophyError:
    return _error(_INVALID_ARGUMENT, "invalid_argument", message)


def _run(function: Any, *arguments: Any) -> tuple[int, Json]:
    out = ctypes.c_void_p()
    status = function(*arguments, ctypes.byref(out))
    return status, _take(out)


def _success(status: int, reply: Json, also: int = _OK) -> Json:
    if status not in (_OK, also):
        raise TrophyError(status, reply["error"])
    return reply


def _call(function: Any, *arguments: Any) -> Json:
    return _success(*_run(function, *arguments))


# What blocks. Python hears Ctrl-C on the main thread, and only where no C function runs there.


def _is_deaf_in_c() -> bool:
    return threading.current_thread() is threading.main_thread() and not _is_inside()


def _milliseconds(timeout: float | None) -> int:
    if timeout is None or timeout == float("inf"):
        return -1
    if not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout: must be seconds or None, not a {type(timeout).__name__}")
    if timeout != timeout:
        raise _invalid("timeout: must be seconds or None, not NaN")
    return max(0, math.ceil(min(timeout, 1e12) * 1000))


def _slices(timeout: float | None) -> Iterator[int]:
    """Cuts a wait into pieces, in milliseconds, between which Python runs what signals ask for."""
    left = _milliseconds(timeout)
    if left < 0:
        yield from itertools.repeat(_SLICE_MS)
    until = time.monotonic() + left / 1000
    while left > _SLICE_MS:
        yield _SLICE_MS
        left = math.ceil((until - time.monotonic()) * 1000)
    yield max(0, left)


def _reply(function: Any, start: Any, handle: _Handle, *arguments: Any) -> Json:
    """A call that blocks: on the main thread an asynchronous one, which an interrupt cancels."""
    if not _is_deaf_in_c():
        return _call(function, handle, *arguments)
    pending = _Pending(handle)
    try:
        # An interrupt may come as soon as the call has begun.
        _begin(pending, None, start, handle, *arguments)
        while not pending.done():
            if handle.shared.is_dispatched:
                # The callbacks of others wait for their dispatch().
                _dispatch(handle, _SLICE_MS)
            else:
                wait_for_futures([pending], _SLICE_MS / 1000)
        return pending.result()
    finally:
        pending.cancel()
        handle.shared.wake_for_due()


def _dispatch(handle: _Handle, milliseconds: int) -> int:
    """If it waits, not on the main thread: Ctrl-C would be raised in the callback that ends the wait, and lost."""
    if milliseconds == 0 or not _is_deaf_in_c():
        return int(_lib.trophy_client_dispatch(handle, milliseconds))
    ran = _in_a_thread(lambda: int(_lib.trophy_client_dispatch(handle, milliseconds)))
    _wait_for(ran)
    return ran.result()


def _close(handle: _Handle, timeout: float | None) -> Ending:
    """An interrupt closes at once."""
    milliseconds = _milliseconds(timeout)

    def close() -> Ending:
        reply = _success(*_run(_lib.trophy_client_close, handle, milliseconds), also=_TIMEOUT)
        handle.shared.is_closed = True
        return Ending(reply["undelivered"], reply["cancelled"])

    if 0 <= milliseconds <= _SLICE_MS or not _is_deaf_in_c():
        return close()
    ending = _in_a_thread(close)
    try:
        _wait_for(ending)
    except BaseException:
        _run(_lib.trophy_client_close, handle, 0)
        raise
    return ending.result()


_Result = TypeVar("_Result")


def _in_a_thread(call: Callable[[], _Result]) -> Future[_Result]:
    ended: Future[_Result] = Future()

    def run() -> None:
        try:
            ended.set_result(call())
        except BaseException as raised:
            ended.set_exception(raised)

    try:
        threading.Thread(target=run, daemon=True).start()
    except RuntimeError:  # The interpreter is ending: there are no more threads.
        run()
    return ended


def _wait_for(future: Future[Any]) -> None:
    """By slices: Ctrl-C is heard after each."""
    while not future.done():
        wait_for_futures([future], _SLICE_MS / 1000)


def _run_due(due: Deque[Callable[[], object]]) -> int:
    """Runs the callbacks that are due, whatever they raise; after an exit or Ctrl-C the rest is for later."""
    count = len(due)
    raised: BaseException | None = None
    for _ in range(count):
        try:
            due.popleft()()
        except BaseException as error:
            first = error
            while first.__context__:
                first = first.__context__
            first.__context__, raised = raised, error
            if not isinstance(error, Exception):
                break
    if raised:
        raise raised
    return count


class _Pending(Future):  # type: ignore[type-arg]  # Future[…] is no class to derive from in Python 3.8
    """An asynchronous call: cancel() ends it in the library too."""

    def __init__(self, handle: _Handle) -> None:
        super().__init__()
        self._call_handle = handle
        self._number = next(_numbers)

    def cancel(self) -> bool:
        # First the state, so that the callback finds the future cancelled.
        was_cancelled = super().cancel()
        if was_cancelled:
            _lib.trophy_client_cancel(self._call_handle, self._number)
        return was_cancelled

    def _finish(self, status: int, reply: Json) -> None:
        if not self.set_running_or_notify_cancel():
            return
        if status == _OK:
            self.set_result(reply)
        else:
            self.set_exception(TrophyError(status, reply["error"]))


def _start(function: Any, handle: _Handle, *arguments: Any) -> Future[Json]:
    pending = _Pending(handle)
    try:
        _begin(pending, handle.shared.due if handle.shared.is_dispatched else None, function, handle, *arguments)
    except BaseException:
        pending.cancel()
        raise
    return pending


def _begin(pending: _Pending, later: Deque[Callable[[], object]] | None, function: Any, *arguments: Any) -> None:
    _waiting[pending._number] = _Waiting(pending._finish, later)
    try:
        _call(function, *arguments, _callback, pending._number)
    except BaseException:
        _forget(pending._number)
        raise


class _Waiting(NamedTuple):
    """Who waits for the end of an asynchronous call."""

    callback: Callable[[int, Json], object]
    #: Where it waits for dispatch(); None: it runs inside C's callback.
    later: Deque[Callable[[], object]] | None

    def hear(self, status: int, reply: Json) -> None:
        if self.later is None:
            self.callback(status, reply)
        else:
            self.later.append(functools.partial(self.callback, status, reply))


# user_data is a number, never a pointer: a callback that comes late finds nothing, and harms nothing.
_numbers = itertools.count(1)
_waiting: dict[int, _Waiting] = {}
_clients: weakref.WeakValueDictionary[int, _Shared] = weakref.WeakValueDictionary()
_inside = threading.local()
_running: set[int] = set()  # threads inside a callback
_open_handles: weakref.WeakSet[_Handle] = weakref.WeakSet()
_logger: logging.Logger | None = None
_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}


def _forget(number: int) -> None:
    _waiting.pop(number, None)


def _is_inside() -> bool:
    return getattr(_inside, "callback", False)


@contextlib.contextmanager
def _being_inside() -> Iterator[None]:
    """This thread is inside a callback."""
    was_inside, _inside.callback = _is_inside(), True
    _running.add(threading.get_ident())
    try:
        yield
    finally:
        _inside.callback = was_inside
        if not was_inside:
            _running.discard(threading.get_ident())


_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p)
_READY_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_LOG_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p)
_NO_CALLBACK, _NO_READY, _NO_LOG = _CALLBACK(), _READY_CALLBACK(), _LOG_CALLBACK()


# An exception that leaves the next three ends in sys.unraisablehook, not in C.
def _hear(status: int, text: bytes, number: int) -> None:
    # From its first line, since the garbage collector may free a client in any.
    with _being_inside():
        waiting = _waiting.get(number) or _clients.get(number)
        if waiting is None:
            return
        try:
            reply = _decode(text)
        except TrophyError as unreadable:
            status, reply = unreadable.status, {"error": unreadable._error}
        _forget(number)
        waiting.hear(status, reply)
        del waiting


def _wake(number: int) -> None:
    with _being_inside():
        shared = _clients.get(number)
        if shared is not None:
            shared.wake()
        del shared


def _write(level: int, message: bytes, _: int) -> None:
    with _being_inside():
        if _logger is not None:
            _logger.log(_LEVELS.get(level, logging.DEBUG), "%s", message.decode("utf-8", "replace"))


_callback, _ready, _log = _CALLBACK(_hear), _READY_CALLBACK(_wake), _LOG_CALLBACK(_write)


def _end() -> None:
    """At exit: closes what nobody closed, and lets its callbacks end. One that came later would find no Python."""
    _lib.trophy_log_set_callback(0, _NO_LOG, None)
    for handle in list(_open_handles):
        _run(_lib.trophy_client_close, handle, 0)
        _lib.trophy_client_on_delivery(handle, _NO_CALLBACK, None)
    until = time.monotonic() + 1
    while _running or _waiting and time.monotonic() < until:
        time.sleep(0.001)


def _forget_the_parent() -> None:
    """A forked child does not hear of its parent's calls, and ends no client that it never used."""
    _open_handles.clear()
    _waiting.clear()
    for shared in list(_clients.values()):
        shared.loop = None
    _running.clear()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parent)


def _delivery(status: int, reply: Json) -> Delivery:
    error = TrophyError(status, reply["error"]) if "error" in reply else None
    return Delivery(reply["idempotencyKey"], reply["key"], reply["userId"], reply.get("response"), error)


def _event(
    key: str,
    user: User,
    value: float,
    attributes: Mapping[str, str | None] | None,
    idempotency_key: str | None,
    options: Mapping[str, Any] | None,
) -> tuple[Any, ...]:
    return (
        _text("key", key),
        _json("user", _user(user)),
        _number("value", value),
        _json("attributes", attributes),
        _text("idempotency_key", idempotency_key),
        _json("options", options),
    )


def _user(user: User) -> Mapping[str, Any]:
    if isinstance(user, str):
        return {"id": user}
    if isinstance(user, Mapping):
        return user
    raise TypeError(f'user: must be an id or a mapping with an "id", not a {type(user).__name__}')


def _text(name: str, text: str | None) -> bytes | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError(f"{name}: must be a str, not a {type(text).__name__}")
    if "\0" in text:
        # C would silently read no further.
        raise _invalid(f"{name}: must not hold U+0000")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _invalid(f"{name}: {_HALF_A_PAIR}") from None


_HALF_A_PAIR = "holds half of a surrogate pair, which is no text"


def _number(name: str, value: float) -> float:
    if not hasattr(value, "__float__") and not hasattr(value, "__index__"):
        raise TypeError(f"{name}: must be a number, not a {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        raise _invalid(f"{name}: is too large") from None


def _json(name: str, value: Mapping[str, Any] | None) -> bytes | None:
    """`name`: the parameter's; "" if the members are parameters themselves."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: must be a mapping, not a {type(value).__name__}")
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_mapping).encode()
    except (TypeError, ValueError, RecursionError) as problem:
        try:
            found = next(_faults(name, value), None)
        except RecursionError:
            found = _invalid(f"{name or 'the arguments'}: nested too deeply, or within itself")
        raise found or _invalid(f"{name or 'the arguments'}: {problem}") from None


def _mapping(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"JSON has no value for a {type(value).__name__}")


def _faults(path: str, value: Any) -> Iterator[Exception]:
    """What is no JSON in a value, and where."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            yield _invalid(f"{path}: {_HALF_A_PAIR}")
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield _invalid(f"{path}: JSON has no number for {value}")
    elif isinstance(value, Mapping):
        for name, member in value.items():
            within = f"{path}[{name!r}]" if path else str(name)
            if not isinstance(name, str):
                yield TypeError(f"{within}: names are str, not {type(name).__name__}")
            yield from _faults(within, name)
            yield from _faults(within, member)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _faults(f"{path}[{index}]", item)
    elif isinstance(value, int):
        try:
            str(value)
        except ValueError:  # Python refuses to write thousands of digits.
            yield _invalid(f"{path}: is too large")
    elif value is not None:
        yield TypeError(f"{path}: JSON has no value for a {type(value).__name__}")


def _load() -> ctypes.CDLL:
    name = {"darwin": "libtrophy.1.dylib", "win32": "trophy.dll"}.get(sys.platform, "libtrophy.so.1")
    packaged = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    path = os.environ.get("TROPHY_LIBRARY") or (packaged if os.path.exists(packaged) else None)
    try:
        lib = ctypes.CDLL(path or ctypes.util.find_library("trophy") or name)
    except OSError as error:
        raise ImportError(f"libtrophy was not found; install it, or set TROPHY_LIBRARY: {error}") from error
    text, handle, out = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p
    event = [handle, text, text, ctypes.c_double, text, text, text]
    status, milliseconds, data = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "version": (text, []),
        "string_free": (None, [out]),
        "log_set_callback": (None, [ctypes.c_int32, _LOG_CALLBACK, data]),
        "client_new": (status, [text, text, out, out]),
        "client_for_tenant": (status, [handle, text, out, out]),
        "client_dispatch": (ctypes.c_size_t, [handle, milliseconds]),
        "client_on_ready": (None, [handle, _READY_CALLBACK, data]),
        "client_cancel": (ctypes.c_size_t, [handle, data]),
        "client_stats": (status, [handle, out]),
        "client_close": (status, [handle, milliseconds, out]),
        "client_free": (None, [handle]),
        "client_set_api_key": (status, [handle, text, out]),
        "client_flush": (status, [handle, milliseconds, out]),
        "client_on_delivery": (None, [handle, _CALLBACK, data]),
        "metrics_event": (status, [*event, out]),
        "metrics_event_async": (status, [*event, _CALLBACK, data, out]),
        "metrics_event_enqueue": (status, [*event, out]),
        "call": (status, [handle, text, text, out]),
        "call_async": (status, [handle, text, text, _CALLBACK, data, out]),
        "webhook_verify": (status, [ctypes.c_char_p, ctypes.c_size_t, text, text, out]),
    }
    for name, (result, parameters) in signatures.items():
        function = getattr(lib, "trophy_" + name)
        function.restype, function.argtypes = result, parameters
    return lib


_lib = _load()
