"""libtrophy for Python: events that count once, a queue that loses none. Copy this file; it needs only ctypes.

    with trophy.Client() as client:                      # the API key: TROPHY_API_KEY
        client.event("words-written", "18", 750, idempotency_key="chapter-1")

Any thread may use a client. The library is found by TROPHY_LIBRARY (its full path), else by the system.
"""

from __future__ import annotations

import asyncio
import ctypes
import ctypes.util
import itertools
import json
import logging
import os
import sys
import threading
import weakref
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Callable, Mapping, NamedTuple, Union

__all__ = ["Client", "Delivery", "TrophyError", "log_to", "verify_webhook", "version"]

Json = Any
#: An id, or an object with one: {"id": "18", "name": "Ada", "attributes": {"plan": "pro"}}.
User = Union[str, Mapping[str, Any]]

_OK, _CLOSED, _CANCELLED, _TIMEOUT = 0, 2, 3, 11


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
        super().__init__(f"{self.code}: {self.message}")


class Delivery(NamedTuple):
    """How a queued event ended: with the service's response, or with an error."""

    idempotency_key: str
    key: str
    user_id: str
    response: Json
    error: TrophyError | None


class Client:
    """A client: its connections, its threads, its queue. One for a process is enough.

    Options are those of trophy.h: Client(timeout_in_seconds=10, queue={"path": "/var/lib/app/trophy"}).
    Where a method takes `options`, they are request options: {"timeout_in_seconds": 2, "tenant_id": "acme"}.
    """

    def __init__(self, api_key: str | None = None, **options: Any) -> None:
        client = ctypes.c_void_p()
        _call(_lib.trophy_client_new, _text("api_key", api_key), _json(options), ctypes.byref(client))
        self._handle: _Handle | None = _Handle(client, _Listener())
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
        return _call(_lib.trophy_metrics_event, self._open(), *arguments)

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
        """Waits until the queue is empty, at most `timeout` seconds; returns how many events are left."""
        return _undelivered(_lib.trophy_client_flush, self._open(), timeout)

    def on_delivery(self, callback: Callable[[Delivery], object] | None) -> None:
        """Calls back once for each event that left the queue, on a thread of the library."""
        handle = self._open()
        if callback is None:
            _lib.trophy_client_on_delivery(handle, _NO_CALLBACK, None)
            handle.listener.hear(None)
        else:
            handle.listener.hear(callback)
            _lib.trophy_client_on_delivery(handle, _callback, handle.listener.number)

    # Every operation, by its name; its parameters, "body" and "options" are the arguments.

    def call(self, operation: str, **args: Any) -> Json:
        """client.call("users_streak", id="18", historyPeriods=14)"""
        return _call(_lib.trophy_call, self._open(), _text("operation", operation), _json(args))

    def call_future(self, operation: str, **args: Any) -> Future[Json]:
        return _start(_lib.trophy_call_async, self._open(), _text("operation", operation), _json(args))

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
        tenant._handle = _Handle(client, handle.listener)
        tenant._owns_client = False
        return tenant

    def set_api_key(self, api_key: str) -> None:
        """Changes the key after it was rotated; a queue that was paused by the old one goes on."""
        _call(_lib.trophy_client_set_api_key, self._open(), _text("api_key", api_key))

    def stats(self) -> dict[str, Any]:
        return dict(_call(_lib.trophy_client_stats, self._open()))

    def dispatch(self, timeout: float | None = 0) -> int:
        """Runs ready callbacks on this thread, for callbacks="dispatch"; None waits for the first for ever."""
        return int(_lib.trophy_client_dispatch(self._open(), _milliseconds(timeout)))

    def close(self, timeout: float | None = 5) -> int:
        """Delivers what is queued, for at most `timeout` seconds, and ends the client; again, it does nothing.

        Returns how many events are left: they stay on disk if the queue has a path, else they are lost.
        """
        handle = self._handle
        if handle is None:
            return 0
        left = _undelivered(_lib.trophy_client_close, handle, timeout) if self._owns_client else 0
        # Freed when the last call that is still returning in another thread has let go of it.
        self._handle = None
        return left

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
        return handle


def verify_webhook(body: bytes, signature: str, secret: str) -> Json:
    """Returns the webhook's JSON if Trophy signed it (X-Trophy-Signature), else raises "invalid_signature"."""
    return _call(
        _lib.trophy_webhook_verify, body, len(body), _text("signature", signature), _text("secret", secret)
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


class _Listener:
    """Who hears of deliveries: the same for all handles of a client, and kept until the last is freed."""

    def __init__(self) -> None:
        self.number = next(_numbers)
        weakref.finalize(self, _forget, self.number)

    def hear(self, callback: Callable[[Delivery], object] | None) -> None:
        if callback is None:
            _forget(self.number)
        else:
            deliver = callback
            _waiting[self.number] = (lambda status, reply: deliver(_delivery(status, reply)), False)


class _Handle:
    """A trophy_client*, freed when nothing refers to it: so never under a call in another thread."""

    def __init__(self, client: ctypes.c_void_p, listener: _Listener) -> None:
        self._as_parameter_ = client
        self.listener = listener
        weakref.finalize(self, _free, client, listener)


def _free(client: ctypes.c_void_p, listener: _Listener) -> None:
    # The last reference may go inside a callback, where the library cannot wait for itself.
    if getattr(_inside, "callback", False):
        threading.Thread(target=_free, args=(client, listener)).start()
    else:
        _lib.trophy_client_free(client)


def _take(out: ctypes.c_void_p) -> Json:
    """Reads and frees an out_json."""
    try:
        return json.loads(ctypes.string_at(out.value)) if out.value else None
    finally:
        _lib.trophy_string_free(out)


def _call(function: Any, *arguments: Any) -> Json:
    out = ctypes.c_void_p()
    status = function(*arguments, ctypes.byref(out))
    reply = _take(out)
    if status != _OK:
        raise TrophyError(status, reply["error"])
    return reply


def _undelivered(function: Any, handle: _Handle, timeout: float | None) -> int:
    out = ctypes.c_void_p()
    status = function(handle, _milliseconds(timeout), ctypes.byref(out))
    reply = _take(out)
    if status not in (_OK, _TIMEOUT):
        raise TrophyError(status, reply["error"])
    return int(reply["undelivered"])


class _Pending(Future):  # type: ignore[type-arg]  # Future[…] is no class to derive from in Python 3.8
    """An asynchronous call: cancel() ends it in the library too."""

    def __init__(self, handle: _Handle) -> None:
        super().__init__()
        self._call_handle = handle
        self._number = 0

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
    pending._number = next(_numbers)
    _waiting[pending._number] = (pending._finish, True)
    try:
        _call(function, handle, *arguments, _callback, pending._number)
    except BaseException:
        _forget(pending._number)
        raise
    return pending


# user_data is a number, never a pointer: a callback that comes late finds nothing, and harms nothing.
_numbers = itertools.count(1)
_waiting: dict[int, tuple[Callable[[int, Json], object], bool]] = {}
_inside = threading.local()
_logger: logging.Logger | None = None
_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}


def _forget(number: int) -> None:
    _waiting.pop(number, None)


_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p)
_LOG_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p)
_NO_CALLBACK, _NO_LOG = _CALLBACK(), _LOG_CALLBACK()


# An exception that leaves the next two ends in sys.unraisablehook, not in C.
def _run(status: int, text: bytes, number: int) -> None:
    callback, once = _waiting.get(number, (None, False))
    if callback is None:
        return
    if once:
        _forget(number)
    was_inside, _inside.callback = getattr(_inside, "callback", False), True
    try:
        callback(status, json.loads(text))
        del callback
    finally:
        _inside.callback = was_inside


def _write(level: int, message: bytes, _: int) -> None:
    if _logger is not None:
        _logger.log(_LEVELS.get(level, logging.DEBUG), "%s", message.decode("utf-8", "replace"))


_callback, _log = _CALLBACK(_run), _LOG_CALLBACK(_write)


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
        _json(_user(user)),
        value,
        _json(attributes),
        _text("idempotency_key", idempotency_key),
        _json(options),
    )


def _user(user: User) -> Mapping[str, Any]:
    return {"id": user} if isinstance(user, str) else user


def _text(name: str, text: str | None) -> bytes | None:
    if text is not None and "\0" in text:
        # C would silently read no further.
        raise TrophyError(1, {"code": "invalid_argument", "message": f"{name}: must not hold U+0000"})
    return None if text is None else text.encode()


def _json(value: Mapping[str, Any] | None) -> bytes | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=dict).encode()


def _milliseconds(timeout: float | None) -> int:
    return -1 if timeout is None else max(0, int(timeout * 1000))


def _load() -> ctypes.CDLL:
    names = {"darwin": "libtrophy.1.dylib", "win32": "trophy.dll"}
    path = os.environ.get("TROPHY_LIBRARY") or ctypes.util.find_library("trophy")
    try:
        lib = ctypes.CDLL(path or names.get(sys.platform, "libtrophy.so.1"))
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
