"""The wrapper against the sandbox: python3 -m unittest, with TROPHY_LIBRARY and TROPHY_SANDBOX set."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import glob
import hashlib
import hmac
import json
import logging
import multiprocessing
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import traceback
import unittest
import urllib.request
import weakref
from concurrent.futures import CancelledError
from typing import Any
from unittest import mock

import libtrophy as trophy

KEY = "sandbox_admin.open-sesame"
WAIT = 120  # seconds; a condition that takes longer has failed
# What takes a second on a machine of its own takes longer on a busy one; what takes ten is a wait for something.
SLOWNESS = 10


class Sandbox:
    """A local Trophy, of this process."""

    def __init__(self) -> None:
        command = [os.environ["TROPHY_SANDBOX"], "--port", "0", "--exit-with-stdin"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout
        ready = json.loads(self.process.stdout.readline())
        self.url, self.admin_url = ready["url"], ready["adminUrl"]

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self.url[: -len("/v1")] + "/_sandbox" + path, data) as reply:
            return json.loads(reply.read() or b"null")

    def stop(self) -> None:
        self.process.communicate()


class Wrapper(unittest.TestCase):
    sandbox: Sandbox

    @classmethod
    def setUpClass(cls) -> None:
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.stop)

    def setUp(self) -> None:
        self.sandbox.ask("/reset", {})
        self.client = self.another()

    def another(self, **options: Any) -> trophy.Client:
        client = trophy.Client(KEY, base_url=self.sandbox.url, admin_base_url=self.sandbox.admin_url, **options)
        self.addCleanup(client.close, 0)
        return client

    def hang(self, operation: str = "metrics_event") -> None:
        self.sandbox.ask("/faults", {"fault": "hang", "operation": operation})

    def wait_for_request(self, operation: str) -> None:
        while operation not in self.sandbox.ask("/ledger")["requests"]:
            pass

    # Events

    # shows: counts-once
    def test_an_event_sent_twice_with_one_key_counts_once(self) -> None:
        first = self.client.event("words-written", "18", 750, idempotency_key="chapter-1")
        again = self.client.event("words-written", {"id": "18"}, 750, idempotency_key="chapter-1")
        self.assertEqual((first["total"], first["idempotentReplayed"]), (750, False))
        self.assertEqual((again["total"], again["idempotentReplayed"]), (750, True))
        self.assertEqual(self.client.streak("18")["length"], 1)

    # shows: scripts
    def test_text_in_any_script_arrives_as_it_was(self) -> None:
        user = {"id": 'Ωμέγα/🏆 "q"', "name": "Zoë 李", "attributes": {"city": "São Paulo"}}
        self.client.event("words-written", user, 1.5, attributes={"genre": "поэма", "device": None})
        self.client.identify({"id": user["id"], "tz": "Asia/Tokyo"})
        read = self.client.user(str(user["id"]))
        self.assertEqual((read["id"], read["name"], read["tz"]), (user["id"], user["name"], "Asia/Tokyo"))
        self.assertEqual(self.client.metric(str(user["id"]), "words-written")["current"], 1.5)

    def test_the_named_operations_answer(self) -> None:
        self.client.event("words-written", "18", 1000)
        self.assertIn("500 words", [achievement["name"] for achievement in self.client.achievements("18")])
        done = self.client.complete_achievement("finish-onboarding", "18")
        self.assertEqual(done["achievement"]["key"], "finish-onboarding")
        self.assertGreater(self.client.points("18", "xp")["total"], 0)
        self.assertEqual(self.client.leaderboard("all-time-words", limit=1)["rankings"][0]["userId"], "18")
        self.assertEqual(len(self.client.call("admin_metrics_list", limit=1)), 1)

    # Errors

    # shows: errors
    def test_an_error_tells_its_code_and_what_the_service_sent(self) -> None:
        with self.assertRaises(trophy.TrophyError) as caught:
            self.client.streak("nobody")
        error = caught.exception
        self.assertEqual((error.code, error.http_status, error.status), ("not_found", 404, 23))
        self.assertEqual(error.body, {"error": "User not found: nobody"})
        self.assertIsNone(error.retry_after_ms)

    def test_a_rate_limit_tells_when_to_come_back(self) -> None:
        self.sandbox.ask("/faults", {"fault": "rate_limited", "retryAfter": "7"})
        with self.assertRaises(trophy.TrophyError) as caught:
            self.client.event("words-written", "18", options={"max_retries": 0})
        self.assertEqual((caught.exception.code, caught.exception.retry_after_ms), ("rate_limited", 7000))

    def test_an_invalid_argument_is_named_and_nothing_is_sent(self) -> None:
        endless: list[Any] = []
        endless.append(endless)
        # shows: text, deep-values
        wrong: list[tuple[str, Any]] = [
            ("attributes_json", lambda: self.client.event("words-written", "18", attributes={"genre": 1})),  # type: ignore[dict-item]
            ("value", lambda: self.client.event("words-written", "18", float("nan"))),
            ("historyPeriod", lambda: self.client.streak("18", historyPeriod=1)),
            ("key", lambda: self.client.event("words\0written", "18")),
            ("key", lambda: self.client.event("\ud800", "18")),
            ("user['id']", lambda: self.client.event("words-written", "\ud800")),
            (
                "user['attributes']['city']",
                lambda: self.client.enqueue("words-written", {"id": "18", "attributes": {"city": "a\udfff"}}),
            ),
            (
                "attributes['\\ud800']",
                lambda: self.client.event("words-written", "18", attributes={"\ud800": "a"}),
            ),
            ("idempotency_key", lambda: self.client.enqueue("words-written", "18", idempotency_key="k\ud800")),
            ("idempotency_key", lambda: self.client.enqueue("words-written", "18", idempotency_key="k\udc00")),
            ("id", lambda: self.client.streak("\ud800")),
            ("body['name']", lambda: self.client.identify({"id": "18", "name": "\ud800"})),
            ("tenant_id", lambda: self.client.for_tenant("\ud800")),
            ("api_key", lambda: self.client.set_api_key("\ud800")),
            ("signature", lambda: trophy.verify_webhook(b"", "\ud800", "secret")),
            ("value", lambda: self.client.event("words-written", "18", 10**400)),
            ("nested", lambda: self.client.call("users_streak", id=endless)),
            ("timeout", lambda: self.client.flush(float("nan"))),
            ("key", lambda: self.client.event_future("words\0written", "18")),
            ("time_out", lambda: trophy.Client(KEY, time_out=1)),
        ]
        if hasattr(sys, "set_int_max_str_digits"):
            huge = {"id": "18", "age": 10**5000}
            wrong += [
                ("historyPeriods: is too large", lambda: self.client.streak("18", historyPeriods=10**5000)),
                ("user['age']: is too large", lambda: self.client.enqueue("words-written", huge)),
            ]
        for name, call in wrong:
            with self.subTest(name), self.assertRaises(trophy.TrophyError) as caught:
                call()
            self.assertEqual(caught.exception.code, "invalid_argument")
            self.assertIn(name, caught.exception.message)
        self.assertEqual(self.sandbox.ask("/ledger")["requests"], {})
        self.assertEqual(trophy._waiting, {})

    def test_a_wrong_type_is_a_type_error_that_names_the_argument(self) -> None:
        wrong: Any = object()
        # shows: wrong-types
        calls: list[tuple[str, Any]] = [
            ("key", lambda: self.client.event(wrong, "18")),
            ("key", lambda: self.client.event(b"words-written", "18")),  # type: ignore[arg-type]
            ("user", lambda: self.client.event("words-written", 18)),  # type: ignore[arg-type]
            ("user", lambda: self.client.enqueue("words-written", None)),  # type: ignore[arg-type]
            ("user['name']", lambda: self.client.enqueue("words-written", {"id": "18", "name": wrong})),
            ("value", lambda: self.client.event("words-written", "18", "5")),  # type: ignore[arg-type]
            ("value", lambda: self.client.event_future("words-written", "18", None)),  # type: ignore[arg-type]
            ("attributes", lambda: self.client.event("words-written", "18", attributes=[1])),  # type: ignore[arg-type]
            ("attributes[5]", lambda: self.client.event("words-written", "18", attributes={5: {1}})),  # type: ignore
            ("idempotency_key", lambda: self.client.enqueue("words-written", "18", idempotency_key=wrong)),
            ("options", lambda: self.client.event("words-written", "18", options=wrong)),
            ("operation", lambda: self.client.call(wrong)),
            ("historyPeriods", lambda: self.client.streak("18", historyPeriods=wrong)),
            ("tenant_id", lambda: self.client.for_tenant(wrong)),
            ("api_key", lambda: trophy.Client(wrong)),
            ("timeout", lambda: self.client.flush("soon")),  # type: ignore[arg-type]
            ("callback", lambda: self.client.on_delivery(wrong)),
            ("body", lambda: trophy.verify_webhook("", "", "")),  # type: ignore[arg-type]
        ]
        for name, call in calls:
            with self.subTest(name), self.assertRaises(TypeError) as caught:
                call()
            self.assertTrue(str(caught.exception).startswith(name + ":"), caught.exception)
        self.assertEqual(self.sandbox.ask("/ledger")["requests"], {})

    def test_an_error_crosses_to_another_process_as_it_was(self) -> None:
        with self.assertRaises(trophy.TrophyError) as caught:
            self.client.streak("nobody")
        error = caught.exception
        copied = pickle.loads(pickle.dumps(error))
        self.assertEqual((copied.args, vars(copied)), (error.args, vars(error)))
        # shows: errors-travel
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            result = pool.map_async(ask_for_nobody, [(KEY, self.sandbox.url)])
            with self.assertRaises(trophy.TrophyError) as caught:
                result.get(WAIT)
        self.assertEqual(str(caught.exception), str(error))

    def test_no_reply_raises_anything_but_our_own_error(self) -> None:
        client = self.another(max_retries=0)
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "replies.json")) as file:
            replies = json.load(file)
        calls: list[Any] = [
            lambda: client.streak("18"),
            lambda: client.call_future("users_streak", id="18").result(WAIT),
        ]
        # shows: any-reply
        for reply in replies:
            for call in calls:
                self.sandbox.ask("/faults", {**reply, "operation": "users_streak", "count": 1})
                with self.subTest(str(reply)[:100]), contextlib.suppress(trophy.TrophyError):
                    call()
        self.assertEqual(trophy._waiting, {})

    # Async

    def test_a_hundred_asyncio_events_each_count(self) -> None:
        async def send() -> list[Any]:
            events = (self.client.event_async("words-written", f"user-{n}", n) for n in range(100))
            replies: list[Any] = await asyncio.gather(*events)
            return replies

        replies = asyncio.run(send())
        self.assertEqual([reply["total"] for reply in replies], list(range(100)))
        self.assertEqual(self.sandbox.ask("/ledger")["events"], 100)
        self.assertEqual(trophy._waiting, {})

    def test_an_asyncio_error_is_raised_where_it_is_awaited(self) -> None:
        with self.assertRaises(trophy.TrophyError) as caught:
            asyncio.run(self.client.call_async("users_streak", id="nobody"))
        self.assertEqual(caught.exception.code, "not_found")

    def test_a_timeout_in_asyncio_ends_the_call(self) -> None:
        self.hang()

        async def send() -> None:
            await asyncio.wait_for(self.client.event_async("words-written", "18"), 0.05)

        with self.assertRaises(asyncio.TimeoutError):
            asyncio.run(send())
        self.client.close(0)
        self.assertEqual(trophy._waiting, {})

    # shows: cancel
    def test_a_future_that_is_cancelled_ends_the_call(self) -> None:
        self.hang()
        future = self.client.event_future("words-written", "18")
        self.wait_for_request("metrics_event")
        self.assertTrue(future.cancel())
        with self.assertRaises(CancelledError):
            future.result()
        self.sandbox.ask("/reset", {})
        # Its lane is free again.
        self.assertEqual(self.client.event_future("words-written", "18").result(WAIT)["total"], 1)

    def test_a_future_of_a_client_that_is_closed_says_so(self) -> None:
        self.hang()
        future = self.client.event_future("words-written", "18")
        self.wait_for_request("metrics_event")
        self.client.close(0)
        with self.assertRaises(trophy.TrophyError) as caught:
            future.result(WAIT)
        self.assertEqual(caught.exception.code, "cancelled")

    def test_dispatch_runs_callbacks_on_this_thread(self) -> None:
        client = self.another(callbacks="dispatch")
        threads = []
        future = client.event_future("words-written", "18")
        future.add_done_callback(lambda _: threads.append(threading.get_ident()))
        while not client.dispatch(WAIT):
            pass
        self.assertEqual((threads, future.result(0)["total"]), ([threading.get_ident()], 1))

    def test_close_in_dispatch_mode_ends_each_call_however_many_there_are(self) -> None:
        self.hang()
        client = self.another(callbacks="dispatch", workers=200)
        futures = [client.event_future("words-written", f"user-{n}") for n in range(200)]
        while client.stats()["callsUnderWay"] < len(futures):
            pass
        self.assertEqual(client.close(0), (0, len(futures)))
        self.assertEqual(sum(future.done() for future in futures), len(futures))

    def test_what_callbacks_raise_comes_out_of_dispatch_all_of_it(self) -> None:
        client = self.another(callbacks="dispatch", queue={"requests_per_second": 1000})
        ran = []

        def hear(delivery: trophy.Delivery) -> None:
            ran.append(delivery.user_id)
            # In a callback anything may be called.
            client.streak(delivery.user_id)
            raise ValueError(delivery.user_id)

        client.on_delivery(hear)
        for user in ("1", "2", "3"):
            client.enqueue("words-written", user)
        self.assertEqual(client.flush(WAIT), 0)
        # A call that blocks runs nobody's callback, and loses none.
        handle = client._handle
        assert handle
        while len(handle.shared.due) < 3:
            self.assertEqual((client.streak("1")["length"], ran), (1, []))
        # shows: many-errors
        with self.assertRaises(ValueError) as caught:
            client.dispatch()
        raised: list[str] = []
        error: BaseException | None = caught.exception
        while error:
            raised.append(str(error))
            error = error.__context__
        self.assertEqual((sorted(ran), sorted(raised)), (["1", "2", "3"],) * 2)

    def test_an_asyncio_loop_is_woken_and_runs_all_callbacks_on_its_thread(self) -> None:
        client = self.another(callbacks="dispatch", queue={"requests_per_second": 1000})
        threads, told = set(), []

        async def send() -> list[Any]:
            loop = asyncio.get_running_loop()
            all_told = asyncio.Event()
            client.dispatch_on(loop)

            def hear(delivery: trophy.Delivery) -> None:
                threads.add(threading.get_ident())
                told.append(delivery.user_id)
                if len(told) == 20:
                    all_told.set()

            client.on_delivery(hear)
            for n in range(20):
                client.enqueue("chapters-read", f"user-{n}")
            future = client.event_future("words-written", "18")
            future.add_done_callback(lambda _: threads.add(threading.get_ident()))
            replies = await asyncio.gather(
                *(client.event_async("words-written", f"user-{n}", n) for n in range(100)),
                client.call_async("users_streak", id="nobody"),
                asyncio.wrap_future(future),
                return_exceptions=True,
            )
            # One that blocks takes the callbacks of others from C, and the loop still hears of them.
            another = client.event_async("words-written", "again")
            pending = asyncio.ensure_future(another)
            await asyncio.sleep(0)
            self.assertEqual(client.event("words-written", "blocking")["total"], 1)
            self.assertEqual((await pending)["total"], 1)
            await asyncio.wait_for(all_told.wait(), WAIT)
            return replies

        replies = asyncio.run(send())
        self.assertEqual([reply["total"] for reply in replies[:100]], list(range(100)))
        self.assertEqual(replies[100].code, "not_found")
        self.assertEqual(threads, {threading.get_ident()})
        self.assertEqual(sorted(told), sorted(f"user-{n}" for n in range(20)))

    def test_the_next_loop_is_woken_for_what_the_last_one_left(self) -> None:
        client = self.another(callbacks="dispatch")

        async def start() -> None:
            client.dispatch_on(asyncio.get_running_loop())

        asyncio.run(start())
        # Its loop is closed.
        left = client.event_future("words-written", "18")
        while not client.stats()["callsFinished"]:
            pass

        async def wait() -> Any:
            client.dispatch_on(asyncio.get_running_loop())
            return await asyncio.wait_for(asyncio.wrap_future(left), WAIT)

        self.assertEqual(asyncio.run(wait())["total"], 1)
        client.dispatch_on(None)
        last = client.event_future("words-written", "18")
        while not client.dispatch(WAIT):
            pass
        self.assertEqual(last.result(0)["total"], 2)
        with self.assertRaises(TypeError):
            client.dispatch_on("loop")  # type: ignore[arg-type]

    def test_what_a_callback_raises_goes_to_the_loop_and_a_timeout_ends_the_call(self) -> None:
        client = self.another(callbacks="dispatch")
        self.sandbox.ask("/faults", {"fault": "hang", "operation": "users_wrapped"})

        async def send() -> list[str]:
            raised: asyncio.Queue[str] = asyncio.Queue()
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: raised.put_nowait(str(context["exception"])))
            client.dispatch_on(loop)

            def fail(delivery: trophy.Delivery) -> None:
                raise ValueError(delivery.user_id)

            client.on_delivery(fail)
            client.enqueue("words-written", "18")
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(client.call_async("users_wrapped", id="18"), 0.05)
            said = [await asyncio.wait_for(raised.get(), WAIT)]
            client.close(0)
            return said

        self.assertEqual(asyncio.run(send()), ["18"])
        self.assertEqual(trophy._waiting, {})

    # The queue

    # shows: queue
    def test_the_queue_delivers_and_says_how_each_event_ended(self) -> None:
        heard: queue.Queue[trophy.Delivery] = queue.Queue()
        with tempfile.TemporaryDirectory() as folder:
            client = self.another(queue={"path": folder, "requests_per_second": 1000})
            client.on_delivery(heard.put)
            self.assertEqual(client.enqueue("words-written", "18", 10, idempotency_key="good"), "good")
            made = client.enqueue("words-written", "18", attributes={"unknown": "x"})
            self.assertEqual(client.flush(WAIT), 0)
            ends = {end.idempotency_key: end for end in (heard.get(timeout=WAIT), heard.get(timeout=WAIT))}
            self.assertEqual((ends["good"].response["total"], ends["good"].error), (10, None))
            error = ends[made].error
            assert error
            self.assertEqual((error.code, ends[made].response), ("unprocessable", None))
            stats = client.stats()
            self.assertEqual((stats["delivered"], stats["dead"], stats["queued"]), (1, 1, 0))
            client.close()

    # shows: offline
    def test_an_event_outlives_its_process_offline(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.hang()
            first = self.another(queue={"path": folder})
            first.enqueue("words-written", "18", 5)
            self.assertEqual(first.flush(0), 1)
            self.assertEqual(first.close(0), (1, 0))
            self.sandbox.ask("/reset", {})
            second = self.another(queue={"path": folder})
            self.assertEqual(second.flush(WAIT), 0)
            self.assertEqual(self.sandbox.ask("/ledger")["events"], 1)
            second.close()

    def test_an_exception_in_a_callback_stays_in_python(self) -> None:
        heard: queue.Queue[Any] = queue.Queue()
        hook, sys.unraisablehook = sys.unraisablehook, lambda problem: heard.put(problem.exc_value)
        self.addCleanup(setattr, sys, "unraisablehook", hook)
        self.client.on_delivery(lambda _: 1 / 0)
        self.client.enqueue("words-written", "18")
        self.assertIsInstance(heard.get(timeout=WAIT), ZeroDivisionError)
        self.client.on_delivery(heard.put)
        self.client.enqueue("words-written", "18")
        self.assertEqual(heard.get(timeout=WAIT).response["total"], 2)

    def test_a_flush_that_a_close_ends_is_cancelled(self) -> None:
        self.hang()
        self.client.enqueue("words-written", "18")
        codes: queue.Queue[str] = queue.Queue()

        def flush() -> None:
            try:
                self.client.flush()
            except trophy.TrophyError as error:
                codes.put(error.code)

        thread = threading.Thread(target=flush)
        thread.start()
        # Until it is in C, or about to be.
        while not any(
            frame.name == "_run" for frame in traceback.extract_stack(sys._current_frames()[thread.ident or 0])
        ):
            pass
        self.assertEqual(self.client.close(0).undelivered, 1)
        self.assertEqual(codes.get(timeout=WAIT), "cancelled")
        thread.join()

    def test_close_tells_events_from_calls(self) -> None:
        self.hang()
        client = self.another()
        futures = [client.event_future("words-written", f"user-{n}") for n in range(100)]
        # shows: two-numbers
        ending = client.close(0)
        self.assertEqual((ending.undelivered, ending.cancelled), (0, 100))
        for future in futures:
            with self.assertRaises(trophy.TrophyError):
                future.result(WAIT)

    # Handles

    def test_a_tenant_has_its_own_totals(self) -> None:
        with self.client.for_tenant("acme") as acme:
            acme.event("words-written", "18", 3)
            self.assertEqual(self.client.event("words-written", "18", 4)["total"], 4)
        with self.assertRaises(trophy.TrophyError):
            acme.streak("18")
        # The client lives on without it.
        self.assertEqual(self.client.metric("18", "words-written")["current"], 4)
        self.assertIn("acme", [lane["tenant"] for lane in self.sandbox.ask("/ledger")["lanes"]])

    # shows: closed
    def test_a_closed_client_says_so_and_closes_again_in_peace(self) -> None:
        tenant = self.client.for_tenant("acme")
        self.assertEqual((self.client.close(), self.client.close()), ((0, 0), (0, 0)))
        for call in (
            self.client.stats,
            lambda: self.client.event("words-written", "18"),
            lambda: tenant.streak("18"),
        ):
            with self.assertRaises(trophy.TrophyError) as caught:
                call()
            self.assertEqual(caught.exception.code, "closed")

    def test_close_waits_for_no_call_of_another_thread_and_frees_after_it(self) -> None:
        self.hang()
        codes: queue.Queue[str] = queue.Queue()

        def send() -> None:
            try:
                self.client.event("words-written", "18")
            except trophy.TrophyError as error:
                codes.put(error.code)

        thread = threading.Thread(target=send)
        thread.start()
        self.wait_for_request("metrics_event")
        self.client.close(0)
        self.assertEqual(codes.get(timeout=WAIT), "cancelled")
        thread.join()

    # shows: freed
    def test_a_forgotten_client_is_freed_also_by_its_own_callback(self) -> None:
        freed = threading.Event()
        self.doCleanups()
        lonely = trophy.Client(KEY, base_url=self.sandbox.url)
        future = lonely.event_future("words-written", "18")
        future.add_done_callback(Holding(lonely, freed))
        del lonely, future
        self.assertTrue(freed.wait(WAIT))
        while library_threads():
            gc.collect()

    def test_a_listener_that_holds_its_client_does_not_keep_it(self) -> None:
        def forget(callbacks: str) -> weakref.ref[trophy.Client]:
            client = trophy.Client(KEY, base_url=self.sandbox.url, callbacks=callbacks)
            client.on_delivery(lambda _: client.stats())
            # It is never answered: the listener hears nothing that would hold it.
            client.enqueue("words-written", "18")
            return weakref.ref(client)

        self.hang()
        self.doCleanups()
        for callbacks in ("worker", "dispatch"):
            with self.subTest(callbacks):
                forgotten = forget(callbacks)
                gc.collect()
                self.assertIsNone(forgotten())
                while library_threads():
                    time.sleep(0.001)
                self.assertEqual(list(trophy._clients), [])

    def test_a_client_that_is_collected_inside_a_callback_is_freed_outside(self) -> None:
        self.addCleanup(gc.enable)
        self.addCleanup(trophy.log_to, None)
        inside: list[int] = []
        freed: queue.Queue[int] = queue.Queue()
        free, decode = trophy._lib.trophy_client_free, trophy._decode

        def free_and_tell(client: Any) -> None:
            free(client)
            freed.put(threading.get_ident())

        def collect(_: object) -> bool:
            inside.append(threading.get_ident())
            gc.collect()
            return True

        def decode_and_collect(text: bytes) -> Any:
            if threading.current_thread() is not threading.main_thread():
                collect(None)
            return decode(text)

        logger = logging.Logger("trophy.collecting")
        logger.addFilter(collect)
        for what in ("log", "callback"):
            with self.subTest(what), mock.patch.object(trophy._lib, "trophy_client_free", free_and_tell):
                gc.collect()
                gc.disable()
                cycle: list[Any] = [trophy.Client(KEY, base_url=self.sandbox.url)]
                cycle.append(cycle)
                del cycle
                if what == "log":
                    trophy.log_to(logger, logging.DEBUG)
                    self.client.event("words-written", "18")
                    trophy.log_to(None)
                else:
                    with mock.patch.object(trophy, "_decode", decode_and_collect):
                        self.client.event_future("words-written", "18").result(WAIT)
                self.assertNotIn(freed.get(timeout=WAIT), inside)
                gc.enable()

    # shows: close-inside
    def test_close_inside_a_callback_is_refused(self) -> None:
        codes: queue.Queue[str] = queue.Queue()

        def close(_: trophy.Delivery) -> None:
            try:
                self.client.close()
            except trophy.TrophyError as error:
                codes.put(error.code)

        self.client.on_delivery(close)
        self.client.enqueue("words-written", "18")
        self.assertEqual(codes.get(timeout=WAIT), "invalid_argument")
        self.assertEqual(self.client.event("words-written", "18")["total"], 2)
        self.client.on_delivery(None)

    def test_a_rotated_key_is_taken(self) -> None:
        self.sandbox.ask("/keys", {"adminKeys": ["new.key"]})
        with self.assertRaises(trophy.TrophyError) as caught:
            self.client.event("words-written", "18")
        self.assertEqual(caught.exception.code, "unauthorized")
        self.client.set_api_key("new.key")
        self.assertEqual(self.client.event("words-written", "18")["total"], 1)

    def test_a_tenants_close_lets_go_of_its_handle_only(self) -> None:
        # shows: tenant-close
        acme, other = self.client.for_tenant("acme"), self.client.for_tenant("other")
        self.assertEqual(acme.close(), (0, 0))
        self.assertEqual(self.client.event("words-written", "18")["total"], 1)
        self.assertEqual(other.event("words-written", "18")["total"], 1)
        self.client.close()
        with self.assertRaises(trophy.TrophyError) as caught:
            other.streak("18")
        self.assertEqual(caught.exception.code, "closed")

    # The end of a process

    def program(self, text: str, **popen: Any) -> subprocess.Popen[str]:
        environment = dict(
            os.environ,
            TROPHY_API_KEY=KEY,
            TROPHY_BASE_URL=self.sandbox.url,
            TROPHY_ADMIN_BASE_URL=self.sandbox.admin_url,
        )
        program = "import os, signal, sys, threading, time, libtrophy as trophy\n" + textwrap.dedent(text)
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", program], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen,
        )  # fmt: skip
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def ends(self, process: subprocess.Popen[str], since: float | None = None) -> tuple[int, str]:
        """Its exit code and what it said on stderr; it prints "ending" when it begins to end."""
        assert process.stdout and process.stderr
        if since is None:
            self.assertEqual(process.stdout.readline(), "ending\n")
            since = time.monotonic()
        code = process.wait(WAIT)
        self.assertLess(time.monotonic() - since, 1 * SLOWNESS)
        return code, process.stderr.read()

    BUSY = """
        client, idle = trophy.Client(), trophy.Client()
        idle.on_delivery(print)
        for user in range(100):
            client.event_future("words-written", str(user))
        client.enqueue("words-written", "18")
    """

    def test_a_process_ends_at_once_with_its_own_code(self) -> None:
        self.hang()
        # shows: ends, exits, uncaught
        for end, code, said in (
            ("print('ending', flush=True)", 0, ""),
            ("print('ending', flush=True); sys.exit(7)", 7, ""),
            ("print('ending', flush=True); raise ValueError('mine')", 1, "ValueError: mine"),
            ("threading.excepthook = print\n"
             "threading.Thread(target=client.event, args=('words-written', '19'), daemon=True).start()\n"
             "print('ending', flush=True)", 0, ""),
        ):  # fmt: skip
            with self.subTest(end):
                ended, errors = self.ends(self.program(textwrap.dedent(self.BUSY) + end))
                self.assertEqual(ended, code, errors)
                self.assertIn(said, errors)
                if not said:
                    self.assertEqual(errors, "")

    @unittest.skipUnless(hasattr(os, "fork"), "no fork here")
    def test_a_forked_child_uses_the_client_and_ends_by_itself(self) -> None:
        process = self.program(
            """
            client, unused = trophy.Client(), trophy.Client()
            total = client.event("words-written", "18")["total"]
            # Not the child's.
            client.call_future("users_wrapped", id="18")
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
            if child == 0:
                sys.exit(client.event("words-written", "18")["total"])
            code = os.WEXITSTATUS(os.waitpid(child, 0)[1])
            print(total, code, client.event("words-written", "18")["total"], flush=True)
            """
        )
        self.sandbox.ask("/faults", {"fault": "hang", "operation": "users_wrapped"})
        out, errors = process.communicate(timeout=WAIT)
        self.assertEqual((out, errors, process.returncode), ("1 2 3\n", "", 0))

    def test_exit_in_a_callback_ends_the_process(self) -> None:
        process = self.program(
            """
            client = trophy.Client(callbacks="dispatch")
            client.event_future("words-written", "18").add_done_callback(lambda _: sys.exit(9))
            client.on_delivery(lambda _: sys.exit(9))
            client.enqueue("words-written", "18")
            print("ending", flush=True)
            while True:
                client.dispatch(None)
            """
        )
        self.assertEqual(self.ends(process)[0], 9)

    def test_an_exit_handler_finds_a_closed_client(self) -> None:
        process = self.program(
            """
            import atexit
            del sys.modules["libtrophy"]
            clients = []
            @atexit.register
            def later():
                try:
                    clients[0].event("words-written", "18")
                except Exception as error:
                    print(error.code, clients[0].close())
            import libtrophy as trophy
            clients.append(trophy.Client())
            clients[0].event_future("words-written", "18")
            """
        )
        out, errors = process.communicate(timeout=WAIT)
        self.assertEqual((process.returncode, errors), (0, ""))
        self.assertIn("closed Ending(undelivered=0, cancelled=0)", out)

    def test_a_slow_callback_may_end_before_python_does(self) -> None:
        # shows: slow-end
        process = self.program(
            """
            client = trophy.Client(workers=50, queue={"requests_per_second": 1000})
            began = threading.Semaphore(0)
            def slow(*_):
                began.release()
                time.sleep(0.3)
                print("ended", flush=True)
            client.on_delivery(slow)
            client.enqueue("chapters-read", "18")
            for user in range(200):
                client.event_future("words-written", str(user)).add_done_callback(slow)
            began.acquire()
            """
        )
        out, errors = process.communicate(timeout=WAIT)
        self.assertEqual((process.returncode, errors), (0, ""))
        self.assertIn("ended", out)

    @unittest.skipIf(sys.platform == "win32", "kill() ends a process there")
    def test_ctrl_c_is_heard_and_cancels_the_call(self) -> None:
        # shows: interrupt
        for options, call in (
            ("", "client.event('words-written', '18')"),
            ("callbacks='dispatch'", "client.event('words-written', '18')"),
            ("", "client.call('users_streak', id='18')"),
            ("", "client.enqueue('words-written', '18'); client.flush()"),
            ("", "client.enqueue('words-written', '18'); client.close(None)"),
            ("callbacks='dispatch'", "client.event_future('words-written', '18'); client.dispatch(None)"),
        ):
            with self.subTest(call):
                self.sandbox.ask("/reset", {})
                self.sandbox.ask("/faults", {"fault": "hang"})
                process = self.program(
                    f"""
                    client = trophy.Client({options})
                    try:
                        {call}
                    except KeyboardInterrupt:
                        print("heard", flush=True)
                    if not {"close" in call or "dispatch(" in call or "flush" in call}:
                        while client.stats()["callsUnderWay"]:
                            pass
                    sys.exit(5)
                    """
                )
                while not self.sandbox.ask("/ledger")["requests"]:
                    pass
                since = time.monotonic()
                process.send_signal(signal.SIGINT)
                code, errors = self.ends(process, since)
                self.assertEqual((code, errors), (5, ""))
                assert process.stdout
                self.assertEqual(process.stdout.read(), "heard\n")

    def test_an_interrupt_that_comes_with_the_reply_is_heard(self) -> None:
        client = self.another(callbacks="dispatch")
        decode, interrupts = trophy._decode, [signal.SIGINT]

        def interrupt_and_decode(text: bytes) -> Any:
            if trophy._is_inside() and interrupts:
                signal.raise_signal(interrupts.pop())
            return decode(text)

        with mock.patch.object(trophy, "_decode", interrupt_and_decode), self.assertRaises(KeyboardInterrupt):
            client.call("achievements_all")
            # It may be heard a moment after the reply has come.
            time.sleep(WAIT)
        self.assertGreater(len(client.call("achievements_all")), 0)

    # shows: interrupt
    def test_an_interrupt_as_soon_as_a_call_has_begun_cancels_it(self) -> None:
        self.hang()
        begin = trophy._call

        def begin_and_be_interrupted(*arguments: Any) -> None:
            begin(*arguments)
            raise KeyboardInterrupt

        for name in ("event", "event_future"):
            with self.subTest(name):
                client = self.another()
                with mock.patch.object(trophy, "_call", begin_and_be_interrupted):
                    with self.assertRaises(KeyboardInterrupt):
                        getattr(client, name)("words-written", "18")
                while client.stats()["callsUnderWay"]:
                    pass
                self.assertEqual(client.close(0).cancelled, 0)

    # The rest

    # shows: webhook
    def test_a_webhook_is_believed_only_with_its_signature(self) -> None:
        body = '{"type":"achievement.completed","name":"Zoë"}'.encode()
        signature = base64.b64encode(hmac.new(b"secret", body, hashlib.sha256).digest()).decode()
        self.assertEqual(trophy.verify_webhook(body, signature, "secret")["name"], "Zoë")
        with self.assertRaises(trophy.TrophyError) as caught:
            trophy.verify_webhook(body + b" ", signature, "secret")
        self.assertEqual(caught.exception.code, "invalid_signature")

    # shows: log
    def test_log_lines_go_to_the_logger_without_the_secret(self) -> None:
        logger = logging.getLogger("trophy.test")
        with self.assertLogs(logger, logging.DEBUG) as caught:
            trophy.log_to(logger, logging.DEBUG)
            self.addCleanup(trophy.log_to, None)
            self.client.event("words-written", "18")
            trophy.log_to(None)
            self.client.event("words-written", "18")
        lines = "\n".join(caught.output)
        self.assertEqual(lines.count("POST"), 1, lines)
        self.assertNotIn("open-sesame", lines)

    # shows: example
    def test_the_program_in_the_readme_runs_and_ends_by_itself(self) -> None:
        environment = dict(
            os.environ,
            TROPHY_API_KEY=KEY,
            TROPHY_BASE_URL=self.sandbox.url,
            TROPHY_ADMIN_BASE_URL=self.sandbox.admin_url,
        )
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "example.py")
        run = subprocess.run(
            [sys.executable, program], env=environment, stdout=subprocess.PIPE, timeout=60, check=True
        )
        self.assertIn(b"streak 1", run.stdout)
        # A program that forgets close() with events under way ends too.
        forgetful = (
            "import libtrophy as trophy; client = trophy.Client(); client.on_delivery(print)\n"
            "for user in map(str, range(50)):\n"
            "    client.event_future('words-written', user)\n"
            "    client.enqueue('chapters-read', user)"
        )
        subprocess.run(
            [sys.executable, "-c", forgetful], env=environment, timeout=60, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    # shows: memory
    @unittest.skipUnless(os.path.exists("/proc/self/statm"), "reads /proc")
    def test_ten_thousand_calls_leave_memory_flat(self) -> None:
        async def some(count: int) -> None:
            for number in range(count):
                self.client.event("words-written", "18")
                await self.client.event_async("words-written", "18")
                with self.assertRaises(trophy.TrophyError):
                    self.client.streak("no\nbody", historyPeriods=-1)
                if number % 10 == 0:
                    self.client.for_tenant("acme")

        asyncio.run(some(1000))
        before = resident_bytes()
        asyncio.run(some(4000))
        self.assertLess(resident_bytes() - before, 3 << 20)
        self.assertEqual(trophy._waiting, {})


def ask_for_nobody(server: tuple[str, str]) -> None:
    key, url = server
    with trophy.Client(key, base_url=url) as client:
        client.streak("nobody")


class Holding:
    """A callback that holds the last reference to its client."""

    def __init__(self, client: trophy.Client, done: threading.Event) -> None:
        self.client, self.done = client, done

    def __call__(self, _: object) -> None:
        self.done.set()


def library_threads() -> int:
    """Threads of this process by the library's names for them, where /proc tells."""
    names = []
    for comm in glob.glob("/proc/self/task/*/comm"):
        with contextlib.suppress(OSError), open(comm) as name:  # it may have just ended
            names.append(name.read())
    return sum(name.startswith("trophy-") for name in names)


def resident_bytes() -> int:
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    unittest.main()
