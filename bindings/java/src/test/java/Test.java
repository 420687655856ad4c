// The wrapper against the sandbox. Each test is a sentence; a failed one ends the run.

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.lang.reflect.Field;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.stream.Stream;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import so.trophy.Json;
import so.trophy.TrophyClient;
import so.trophy.TrophyClient.Ending;
import so.trophy.TrophyClient.Event;
import so.trophy.TrophyException;

public final class Test {
    private static final String KEY = "sandbox_admin.open-sesame";
    private static final int WAIT = 120_000; // ms; a condition that takes longer has failed
    // What takes a second on a machine of its own takes longer on a busy one; what takes ten is a wait for something.
    private static final int SLOWNESS = 10;
    private static Json ready;

    private interface Case {
        void run(TrophyClient client) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length > 0) {
            child(arguments[0]);
            return;
        }
        Path readyFile = Files.createTempDirectory("trophy").resolve("ready");
        Process sandbox = new ProcessBuilder(System.getenv("TROPHY_SANDBOX"), "--port", "0", "--exit-with-stdin",
                "--ready-file", readyFile.toString()).redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        waitFor(() -> Files.exists(readyFile));
        ready = new Json(Files.readString(readyFile));
        Files.delete(readyFile);
        Files.delete(readyFile.getParent());

        Map<String, Case> tests = new LinkedHashMap<>();
        // shows: counts-once
        tests.put("an_event_with_the_same_key_counts_once", Test::once);
        // shows: errors
        tests.put("an_unknown_user_is_an_error_with_its_code", Test::notFound);
        tests.put("a_wrong_argument_is_named_and_nothing_is_sent", Test::wrongArgument);
        // shows: scripts
        tests.put("unicode_comes_back_as_it_went", Test::unicode);
        tests.put("a_hundred_asynchronous_events_each_answer_once", Test::hundred);
        // shows: text, deep-values
        tests.put("text_that_is_no_unicode_is_refused_by_name", Test::halfAPair);
        // shows: wrong-types
        tests.put("a_null_is_refused_by_name", Test::nulls);
        // shows: any-reply
        tests.put("no_reply_throws_anything_but_our_own_error", client -> anyReply());
        // shows: errors-travel
        tests.put("an_error_is_serialized_as_it_was", Test::serialized);
        // shows: interrupt
        tests.put("an_interrupt_ends_a_blocked_call", client -> interrupted());
        tests.put("a_future_that_is_completed_by_others_ends_its_call", client -> timedOut());
        // shows: many-errors
        tests.put("of_callbacks_that_throw_in_one_dispatch_none_is_lost", client -> throwingInDispatch());
        // shows: offline
        tests.put("an_event_outlives_its_client_offline", client -> offline());
        // shows: two-numbers
        tests.put("close_tells_events_from_calls", client -> twoNumbers());
        tests.put("a_flush_that_a_close_ends_is_cancelled", client -> flushUnder());
        // shows: tenant-close
        tests.put("a_tenants_close_lets_go_of_its_handle_only", client -> tenantClosed());
        // shows: ends, exits, uncaught
        tests.put("a_process_ends_at_once_with_its_own_code", client -> ends());
        // shows: slow-end
        tests.put("a_slow_callback_may_end_before_java_does", client -> slowEnd());
        // shows: cancel
        tests.put("a_cancelled_future_ends_its_call", client -> cancelled());
        tests.put("futures_complete_in_dispatch_where_asked", client -> dispatched());
        tests.put("an_exception_in_a_callback_stays_in_java", Test::throwing);
        // shows: queue
        tests.put("queued_events_are_delivered_and_heard_of", Test::queued);
        tests.put("a_tenant_has_its_own_users", Test::tenant);
        tests.put("the_common_operations_have_methods", Test::common);
        // shows: closed, close-inside
        tests.put("a_client_is_closed_once_and_then_says_so", client -> closedTwice());
        tests.put("several_threads_close_a_client_in_peace", client -> closedAtOnce());
        tests.put("a_tenants_handle_is_freed_in_a_callback", client -> freedInside());
        tests.put("a_listener_is_replaced_by_several_threads_at_once", client -> replacedAtOnce());
        tests.put("a_blocked_call_ends_when_the_client_closes", client -> closedUnder());
        // shows: webhook
        tests.put("a_webhook_is_checked", client -> webhook());
        // shows: log
        tests.put("log_lines_are_heard", client -> logged());
        // shows: memory
        tests.put("ten_thousand_calls_leave_the_memory_flat", Test::flat);
        // shows: freed
        tests.put("a_forgotten_client_is_freed", client -> forgotten());
        tests.put("a_listener_that_holds_its_client_does_not_keep_it", client -> forgottenWithListener());
        // shows: example
        tests.put("the_example_runs", client -> example());
        try (TrophyClient client = open(Map.of())) {
            for (Map.Entry<String, Case> test : tests.entrySet()) {
                try {
                    test.getValue().run(client);
                } catch (Throwable problem) {
                    System.err.println("FAILED " + test.getKey());
                    problem.printStackTrace();
                    System.exit(1);
                }
            }
        }
        sandbox.getOutputStream().close();
        sandbox.waitFor();
        System.out.println(tests.size() + " tests");
    }

    private static TrophyClient open(Map<String, ?> options) {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("base_url", ready.string("/url"));
        all.put("admin_base_url", ready.string("/adminUrl"));
        all.put("queue", Map.of("requests_per_second", 1000));
        all.putAll(options);
        return new TrophyClient(KEY, all);
    }

    /** A host that takes connections and never answers. */
    private static ServerSocket silent() throws IOException {
        return new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    }

    private static Map<String, String> at(ServerSocket host) {
        return Map.of("base_url", "http://127.0.0.1:" + host.getLocalPort() + "/v1");
    }

    private static void waitFor(BooleanSupplier condition) throws InterruptedException {
        for (int i = 0; i < WAIT / 10; i++) {
            if (condition.getAsBoolean()) {
                return;
            }
            Thread.sleep(10);
        }
        throw new AssertionError("waited too long");
    }

    private static void equal(Object have, Object want) {
        if (!have.equals(want)) {
            throw new AssertionError("have " + have + ", want " + want);
        }
    }

    private static void says(TrophyException error, String word) {
        if (!error.getMessage().contains(word)) {
            throw new AssertionError("\"" + word + "\" is not in: " + error.getMessage());
        }
    }

    private static TrophyException failing(Runnable call, String code) {
        try {
            call.run();
        } catch (TrophyException error) {
            equal(error.code(), code);
            return error;
        }
        throw new AssertionError("no error, want " + code);
    }

    private static void once(TrophyClient client) {
        Event event = Event.of("words-written", "java-once", 750).withIdempotencyKey("chapter-1");
        Json first = client.event(event);
        Json again = client.event(event);
        equal(first.number("/total", 0), 750.0);
        equal(first.isTrue("/idempotentReplayed"), false);
        equal(again.number("/total", 0), 750.0);
        equal(again.isTrue("/idempotentReplayed"), true);
    }

    private static void notFound(TrophyClient client) {
        TrophyException error = failing(() -> client.streak("java-nobody"), "not_found");
        equal(error.status(), 23);
        equal(error.httpStatus(), 404);
        equal(error.attempts(), 1);
        equal(error.retryAfterMs(), -1L);
        equal(new Json(error.body()).string("/error").isEmpty(), false);
    }

    private static void wrongArgument(TrophyClient client) {
        double before = client.stats().number("/requests", -1);
        Event event = Event.of("words-written", "java-wrong", 1);
        says(failing(() -> client.event(new Event(event.key(), Map.of("name", "nobody"), 1, null, null, null)),
                "invalid_argument"), "id");
        says(failing(() -> client.event(Event.of("words-written", "java-wrong", Double.NaN)), "invalid_argument"), "value");
        says(failing(() -> client.call("users_streak", Map.of("id", "18", "nonsense", 1)), "invalid_argument"), "nonsense");
        failing(() -> client.call("users_streak", Map.of("id", new Object())), "invalid_argument");
        failing(() -> Event.of("words\0written", "java-wrong", 1), "invalid_argument");
        says(failing(() -> open(Map.of("no_such_option", 1)), "invalid_argument"), "no_such_option");
        try {
            client.callAsync("no_such_operation", null).join();
            throw new AssertionError("no error");
        } catch (CompletionException error) {
            equal(((TrophyException) error.getCause()).code(), "invalid_argument");
        }
        equal(client.stats().number("/requests", -2), before);
    }

    private static void refused(Runnable call, String name) {
        says(failing(call, "invalid_argument"), name + ": ");
    }

    private static void halfAPair(TrophyClient client) {
        double before = client.stats().number("/requests", -1);
        Event event = Event.of("words-written", "java-half", 1);
        refused(() -> Event.of("k\ud800", "18", 1), "key");
        refused(() -> client.event(Event.of("words-written", "a\ud800", 1)), "user[\"id\"]");
        refused(() -> client.enqueue(Event.of("words-written", "\udc00a", 1)), "user[\"id\"]");
        refused(() -> event.withIdempotencyKey("k\ud800"), "idempotencyKey");
        refused(() -> client.event(event.withAttributes(Map.of("genre", "\udfff"))), "attributes[\"genre\"]");
        refused(() -> client.event(event.withAttributes(Map.of("\udfff", "a"))), "attributes[\"?\"]");
        refused(() -> client.streak("\ud800\ud800"), "id");
        refused(() -> client.call("\ud800", null), "operation");
        refused(() -> client.identify("18", Map.of("name", List.of("\ud800"))), "body[\"name\"][0]");
        refused(() -> client.forTenant("\ud800"), "tenantId");
        refused(() -> client.setApiKey("\ud800"), "apiKey");
        refused(() -> TrophyClient.verifyWebhook(new byte[0], "\ud800", "secret"), "signature");
        refused(() -> new Json("{}").string("/\ud800"), "pointer");
        List<Object> endless = new ArrayList<>();
        endless.add(endless);
        refused(() -> client.call("users_streak", Map.of("id", endless)), "id");
        equal(client.stats().number("/requests", -2), before);
        // A whole pair is text.
        equal(client.event(Event.of("words-written", "java-\ud83c\udfc6", 1)).number("/total", 0), 1.0);
    }

    private static void nulls(TrophyClient client) {
        refused(() -> client.streak(null), "userId");
        refused(() -> client.achievements(null), "userId");
        refused(() -> client.identify(null, Map.of()), "userId");
        refused(() -> client.identify("18", null), "user");
        refused(() -> client.completeAchievement(null, Map.of("id", "18")), "key");
        refused(() -> client.completeAchievement("finish-onboarding", null), "user");
        refused(() -> client.leaderboard(null, null), "key");
        equal(client.leaderboard("all-time-words", null).string("/key"), "all-time-words");
        refused(() -> Event.of("words-written", null, 1), "userId");
        refused(() -> client.event(null), "event");
        refused(() -> client.enqueue(null), "event");
        refused(() -> TrophyClient.verifyWebhook(null, "", ""), "body");
        says(failing(() -> client.event(Event.of(null, "18", 1)), "invalid_argument"), "key");
        says(failing(() -> client.call(null, null), "invalid_argument"), "operation");
        says(failing(() -> client.forTenant(null), "invalid_argument"), "tenant_id");
        says(failing(() -> client.event(new Event("words-written", null, 1, null, null, null)), "invalid_argument"), "user");
    }

    private static void ask(String path, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(ready.string("/url")).resolve("/_sandbox" + path))
                .POST(HttpRequest.BodyPublishers.ofString(body)).build();
        equal(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).statusCode() / 100, 2);
    }

    private static void anyReply() throws Exception {
        Json replies = new Json(Files.readString(Path.of("../replies.json")));
        try (TrophyClient client = open(Map.of("max_retries", 0))) {
            for (int i = 0; i < replies.length(""); i++) {
                String fault = replies.string("/" + i).replaceFirst("\\{", "{\"count\":1,\"operation\":\"users_streak\",");
                ask("/faults", fault);
                try {
                    client.streak("18").number("/length");
                } catch (TrophyException own) {
                    equal(own.code().isEmpty(), false);
                }
                ask("/faults", fault);
                try {
                    client.callAsync("users_streak", Map.of("id", "18")).join().number("/length");
                } catch (CompletionException own) {
                    equal(((TrophyException) own.getCause()).code().isEmpty(), false);
                }
            }
        }
    }

    private static void serialized(TrophyClient client) throws Exception {
        TrophyException error = failing(() -> client.streak("java-nobody"), "not_found");
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        new ObjectOutputStream(bytes).writeObject(error);
        TrophyException copy = (TrophyException)
                new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray())).readObject();
        equal(List.of(copy.code(), copy.getMessage(), copy.body(), copy.httpStatus()),
                List.of(error.code(), error.getMessage(), error.body(), error.httpStatus()));
    }

    private static void interrupted() throws Exception {
        for (String callbacks : List.of("worker", "dispatch")) {
            try (ServerSocket host = silent()) {
                Map<String, Object> options = new LinkedHashMap<>(at(host));
                options.put("callbacks", callbacks);
                TrophyClient client = open(options);
                client.enqueue(Event.of("words-written", "18", 1));
                try (Socket queued = host.accept()) {
                    equal(queued.isConnected(), true);
                    for (Runnable call : List.<Runnable>of(
                            () -> client.event(Event.of("chapters-read", "18", 1)),
                            () -> client.call("achievements_all", null),
                            () -> client.flush(-1))) {
                        AtomicReference<TrophyException> ended = new AtomicReference<>();
                        AtomicReference<Boolean> flag = new AtomicReference<>();
                        Thread thread = new Thread(() -> {
                            ended.set(failing(call, "cancelled"));
                            flag.set(Thread.currentThread().isInterrupted());
                        });
                        thread.start();
                        waitFor(() -> thread.getState() != Thread.State.NEW && (thread.getState() != Thread.State.RUNNABLE
                                || isInC(thread)));
                        long since = System.nanoTime();
                        thread.interrupt();
                        thread.join(WAIT);
                        soon(since);
                        says(ended.get(), "interrupted");
                        equal(flag.get(), true);
                        waitFor(() -> client.stats().number("/callsUnderWay", -1) + client.stats().number("/callsWaiting", -1)
                                == 0);
                    }
                    Thread dispatching = new Thread(() -> client.dispatch(-1));
                    dispatching.start();
                    dispatching.interrupt();
                    dispatching.join(WAIT);
                    equal(dispatching.isAlive(), false);
                    AtomicReference<Ending> ending = new AtomicReference<>();
                    Thread closing = new Thread(() -> ending.set(client.close(-1)));
                    closing.start();
                    waitFor(() -> closing.getState() == Thread.State.WAITING);
                    closing.interrupt();
                    closing.join(WAIT);
                    equal(ending.get(), new Ending(1, 0));
                }
            }
        }
    }

    private static boolean isInC(Thread thread) {
        return List.of(thread.getStackTrace()).stream().anyMatch(frame -> frame.getMethodName().equals("invokeInt")
                || frame.getMethodName().equals("invokeLong"));
    }

    private static void soon(long sinceNanos) {
        if (System.nanoTime() - sinceNanos > SLOWNESS * 1_000_000_000L) {
            throw new AssertionError("after " + (System.nanoTime() - sinceNanos) / 1_000_000 + " ms");
        }
    }

    private static void timedOut() throws Exception {
        for (Function<CompletableFuture<Json>, CompletableFuture<Json>> end : List.<Function<CompletableFuture<Json>, CompletableFuture<Json>>>of(
                future -> future.orTimeout(10, TimeUnit.MILLISECONDS),
                future -> future.completeOnTimeout(new Json("[]"), 10, TimeUnit.MILLISECONDS),
                future -> {
                    future.completeExceptionally(new IllegalStateException("mine"));
                    return future;
                })) {
            try (ServerSocket host = silent(); TrophyClient client = open(at(host))) {
                CompletableFuture<Json> future = client.callAsync("achievements_all", null);
                host.accept();
                end.apply(future).handle((reply, error) -> reply).join();
                waitFor(() -> client.stats().number("/callsUnderWay", -1) == 0);
            }
        }
    }

    private static void throwingInDispatch() throws Exception {
        List<String> heard = Collections.synchronizedList(new ArrayList<>());
        Thread.UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();
        Thread.setDefaultUncaughtExceptionHandler((thread, thrown) -> heard.add(thrown.getMessage()));
        try (TrophyClient client = open(Map.of("callbacks", "dispatch"))) {
            client.onDelivery((delivery, error) -> {
                String user = delivery.string("/userId");
                // In a callback anything may be called.
                equal(client.streak(user).number("/length", 0), 1.0);
                throw new IllegalStateException(user);
            });
            for (int user = 0; user < 3; user++) {
                client.enqueue(Event.of("words-written", "java-throwing-" + user, 1));
            }
            equal(client.flush(WAIT), 0L);
            // A call that blocks runs nobody's callback, and loses none.
            client.streak("java-throwing-0");
            equal(heard.size(), 0);
            for (long ran = 0; ran < 3;) {
                ran += client.dispatch(WAIT);
            }
        } finally {
            Thread.setDefaultUncaughtExceptionHandler(before);
        }
        Collections.sort(heard);
        equal(heard, List.of("java-throwing-0", "java-throwing-1", "java-throwing-2"));
    }

    private static void twoNumbers() throws Exception {
        try (ServerSocket host = silent()) {
            TrophyClient client = open(at(host));
            List<CompletableFuture<Json>> calls = new ArrayList<>();
            for (int user = 0; user < 100; user++) {
                calls.add(client.eventAsync(Event.of("words-written", "java-" + user, 1)));
            }
            Ending ending = client.close(0);
            equal(List.of(ending.undelivered(), ending.cancelled()), List.of(0L, 100L));
            for (CompletableFuture<Json> call : calls) {
                equal(call.handle((reply, error) -> ((TrophyException) error).code()).join(), "cancelled");
            }
        }
    }

    private static void offline() throws Exception {
        Path folder = Files.createTempDirectory("trophy");
        Map<String, Object> queue = Map.of("queue", Map.of("path", folder.toString()));
        try (ServerSocket host = silent()) {
            Map<String, Object> options = new LinkedHashMap<>(at(host));
            options.putAll(queue);
            TrophyClient first = open(options);
            first.enqueue(Event.of("words-written", "java-offline", 5));
            equal(first.flush(0), 1L);
            equal(first.close(0), new Ending(1, 0));
        }
        try (TrophyClient second = open(queue)) {
            equal(second.flush(WAIT), 0L);
            Json metric = second.call("users_single_metric", Map.of("id", "java-offline", "key", "words-written"));
            equal(metric.number("/current", 0), 5.0);
        }
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
        }
    }

    private static void flushUnder() throws Exception {
        try (ServerSocket host = silent()) {
            TrophyClient client = open(at(host));
            client.enqueue(Event.of("words-written", "18", 1));
            AtomicReference<TrophyException> ended = new AtomicReference<>();
            Thread thread = new Thread(() -> {
                try {
                    client.flush(-1);
                } catch (TrophyException error) {
                    ended.set(error);
                }
            });
            thread.start();
            waitFor(() -> isInC(thread));
            equal(client.close(0).undelivered(), 1L);
            thread.join(WAIT);
            equal(List.of("cancelled", "closed").contains(ended.get().code()), true);
        }
    }

    private static void tenantClosed() {
        TrophyClient client = open(Map.of());
        TrophyClient acme = client.forTenant("java-acme");
        TrophyClient other = client.forTenant("java-other");
        equal(acme.close(5000), new Ending(0, 0));
        failing(() -> acme.streak("18"), "closed");
        equal(client.event(Event.of("words-written", "java-left", 1)).number("/total", 0), 1.0);
        equal(other.event(Event.of("words-written", "java-left", 1)).number("/total", 0), 1.0);
        client.close();
        failing(() -> other.streak("18"), "closed");
        other.close();
    }

    // ---- Other processes ----------------------------------------------------------------------------------------

    private static void child(String which) throws Exception {
        TrophyClient client = new TrophyClient(null, Map.of("workers", 50, "queue", Map.of("requests_per_second", 1000)));
        TrophyClient idle = new TrophyClient();
        idle.onDelivery((delivery, error) -> System.out.println(delivery));
        CompletableFuture<Void> began = new CompletableFuture<>();
        Runnable slow = () -> {
            began.complete(null);
            try {
                Thread.sleep(300);
            } catch (InterruptedException interrupted) {
                throw new IllegalStateException(interrupted);
            }
            System.out.println("ended");
        };
        boolean isInCallback = which.endsWith("in a callback");
        client.onDelivery((delivery, error) -> {
            if (isInCallback) {
                System.out.println("ending");
                System.exit(9);
            }
            slow.run();
        });
        client.enqueue(Event.of("chapters-read", "18", 1));
        for (int user = 0; user < 100; user++) {
            CompletableFuture<Json> call = client.eventAsync(Event.of("words-written", "java-" + user, 1));
            if (which.equals("slow")) {
                call.whenComplete((reply, error) -> slow.run());
            }
        }
        if (which.equals("slow")) {
            began.join();
        } else if (isInCallback) {
            Thread.sleep(WAIT);
        }
        System.out.println("ending");
        switch (which) {
            case "exit" -> System.exit(7);
            case "halt" -> Runtime.getRuntime().halt(8);
            case "throw" -> throw new IllegalStateException("mine");
            case "hook" -> Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                try {
                    while (true) {
                        client.event(Event.of("words-written", "18", 1));
                    }
                } catch (TrophyException error) {
                    System.out.println(error.code());
                }
            }));
            default -> {}
        }
    }

    private static Process start(String program, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(ProcessHandle.current().info().command().orElse("java"), "-cp",
                System.getProperty("java.class.path"), program));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("TROPHY_API_KEY", KEY);
        builder.environment().put("TROPHY_BASE_URL", ready.string("/url"));
        return builder.start();
    }

    private static void ends() throws Exception {
        for (Map.Entry<String, Integer> way : Map.of("return", 0, "exit", 7, "halt", 8, "throw", 1, "hook", 0,
                "exit in a callback", 9).entrySet()) {
            ask("/reset", "{}");
            if (!way.getKey().endsWith("callback")) {
                ask("/faults", "{\"fault\":\"hang\"}");
            }
            Process process = start("Test", way.getKey());
            BufferedReader out = process.inputReader();
            equal(String.valueOf(out.readLine()), "ending");
            long since = System.nanoTime();
            String said = String.join("\n", out.lines().toList());
            equal(way.getKey() + process.waitFor(), way.getKey() + way.getValue());
            soon(since);
            equal(said.contains("mine"), way.getKey().equals("throw"));
            equal(said.contains("cancelled") || said.contains("closed"), way.getKey().equals("hook"));
        }
        ask("/reset", "{}");
    }

    private static void slowEnd() throws Exception {
        Process process = start("Test", "slow");
        String said = String.join("\n", process.inputReader().lines().toList());
        equal(said + process.waitFor(), said + 0);
        equal(said.contains("ended"), true);
    }

    private static void unicode(TrophyClient client) {
        String name = "Zoë 漢字 🏆 \"quoted\" \\ / \n";
        client.identify("java-ü/漢", Map.of("name", name));
        equal(client.call("users_get", Map.of("id", "java-ü/漢")).string("/name"), name);
    }

    private static void hundred(TrophyClient client) {
        List<CompletableFuture<Json>> replies = new ArrayList<>();
        for (int i = 1; i <= 100; i++) {
            replies.add(client.eventAsync(Event.of("words-written", "java-async-" + i % 10, i)));
        }
        for (CompletableFuture<Json> reply : replies) {
            equal(reply.join().isTrue("/idempotentReplayed"), false);
        }
        Json metric = client.call("users_single_metric", Map.of("id", "java-async-0", "key", "words-written"));
        equal(metric.number("/current", 0), 550.0);
    }

    private static void cancelled() throws Exception {
        try (ServerSocket host = silent(); TrophyClient client = open(at(host))) {
            CompletableFuture<Json> future = client.callAsync("achievements_all", null);
            host.accept();
            equal(future.cancel(true), true);
            equal(future.isCancelled(), true);
            // The library's call has ended too, long before its own 60 seconds.
            waitFor(() -> client.stats().number("/inFlight", -1) == 0);
            equal(client.close(0), new Ending(0, 0));
        }
    }

    private static void dispatched() {
        try (TrophyClient client = open(Map.of("callbacks", "dispatch"))) {
            AtomicReference<Thread> ran = new AtomicReference<>();
            client.callAsync("achievements_all", null).thenRun(() -> ran.set(Thread.currentThread()));
            equal(client.dispatch(WAIT), 1L);
            equal(ran.get(), Thread.currentThread());
            equal(client.dispatch(0), 0L);
        }
    }

    private static void throwing(TrophyClient client) throws Exception {
        AtomicReference<Throwable> heard = new AtomicReference<>();
        Thread.UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();
        Thread.setDefaultUncaughtExceptionHandler((thread, thrown) -> heard.set(thrown));
        client.onDelivery((delivery, error) -> {
            throw new IllegalStateException("mine");
        });
        client.enqueue(Event.of("words-written", "java-throwing", 1));
        waitFor(() -> heard.get() != null);
        client.onDelivery(null);
        Thread.setDefaultUncaughtExceptionHandler(before);
        equal(heard.get().getMessage(), "mine");
        equal(client.streak("java-throwing").number("/length", 0), 1.0);
    }

    private static void queued(TrophyClient client) throws Exception {
        Map<String, String> heard = new ConcurrentHashMap<>();
        client.onDelivery((delivery, error) ->
                heard.put(delivery.string("/idempotencyKey"), error == null ? "ok" : error.code()));
        String good = client.enqueue(Event.of("words-written", "java-queue", 5));
        String bad = client.enqueue(Event.of("no-such-metric", "java-queue", 5));
        equal(client.flush(WAIT), 0L);
        waitFor(() -> heard.size() == 2);
        equal(heard.get(good), "ok");
        failing(() -> client.event(Event.of("no-such-metric", "java-queue", 5)), heard.get(bad));
        client.onDelivery(null);
        Json metric = client.call("users_single_metric", Map.of("id", "java-queue", "key", "words-written"));
        equal(metric.number("/current", 0), 5.0);
    }

    private static void tenant(TrophyClient client) {
        TrophyClient tenant = client.forTenant("java-tenant");
        tenant.event(Event.of("words-written", "java-lodger", 3));
        failing(() -> client.streak("java-lodger"), "not_found");
        equal(tenant.streak("java-lodger").number("/length", 0), 1.0);
    }

    private static void common(TrophyClient client) {
        Json reply = client.event(Event.of("words-written", "java-common", 600).withAttributes(Map.of("genre", "poem")));
        equal(reply.at("/achievements").length("") > 0, true);
        equal(reply.at("/nothing") == null, true);
        Json done = client.completeAchievement("finish-onboarding", Map.of("id", "java-common"));
        equal(done.string("/achievement/key"), "finish-onboarding");
        equal(client.achievements("java-common").length("") > 0, true);
        equal(client.leaderboard("all-time-words", Map.of("limit", 5)).string("/key"), "all-time-words");
        client.setApiKey(KEY);
    }

    private static void closedTwice() throws Exception {
        TrophyClient client = open(Map.of());
        AtomicReference<TrophyException> refused = new AtomicReference<>();
        client.onDelivery((delivery, error) -> refused.set(failing(client::close, "invalid_argument")));
        client.enqueue(Event.of("words-written", "java-close", 1));
        waitFor(() -> refused.get() != null);
        equal(client.close(5000), new Ending(0, 0));
        equal(client.close(5000), new Ending(0, 0));
        client.close();
        failing(() -> client.streak("18"), "closed");
    }

    private static void closedAtOnce() {
        for (int i = 0; i < 200; i++) {
            TrophyClient client = open(Map.of());
            CompletableFuture<Void> start = new CompletableFuture<>();
            List<CompletableFuture<Ending>> closing = Stream.of(1, 2, 3, 4).map(number -> CompletableFuture.supplyAsync(() -> {
                start.join();
                return client.close(0);
            }, task -> new Thread(task).start())).toList();
            start.complete(null);
            closing.forEach(ending -> equal(ending.join(), new Ending(0, 0)));
        }
    }

    private static void freedInside() throws Exception {
        List<String> lines = Collections.synchronizedList(new ArrayList<>());
        try (TrophyClient client = open(Map.of())) {
            TrophyClient tenant = client.forTenant("java-inside");
            AtomicReference<Ending> ending = new AtomicReference<>();
            TrophyClient.onLog(1, (level, message) -> lines.add(message));
            client.onDelivery((delivery, error) -> ending.set(tenant.close(0)));
            client.enqueue(Event.of("words-written", "java-inside", 1));
            waitFor(() -> ending.get() != null);
            failing(tenant::stats, "closed");
        } finally {
            TrophyClient.onLog(0, null);
        }
        equal(lines, List.of());
    }

    private static void replacedAtOnce() throws Exception {
        try (TrophyClient client = open(Map.of())) {
            CountDownLatch running = new CountDownLatch(1);
            client.onDelivery((delivery, error) -> {
                running.countDown();
                LockSupport.parkNanos(50_000_000); // Meanwhile the other waits for this callback, or has replaced it.
                client.onDelivery(null);
            });
            client.enqueue(Event.of("words-written", "java-replaced", 1));
            running.await();
            Thread other = new Thread(() -> client.onDelivery(null));
            other.start();
            other.join(WAIT);
            equal(other.isAlive(), false);
        }
    }

    private static void closedUnder() throws Exception {
        try (ServerSocket host = silent(); TrophyClient client = open(at(host))) {
            CompletableFuture<TrophyException> ended = CompletableFuture.supplyAsync(
                    () -> failing(() -> client.call("achievements_all", null), "cancelled"));
            host.accept();
            client.close(0);
            equal(ended.join().httpStatus(), 0);
        }
    }

    private static void webhook() throws Exception {
        byte[] body = "{\"type\":\"achievement.completed\",\"name\":\"漢\"}".getBytes(StandardCharsets.UTF_8);
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec("secret".getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
        String signature = Base64.getEncoder().encodeToString(mac.doFinal(body));
        equal(TrophyClient.verifyWebhook(body, signature, "secret").string("/name"), "漢");
        body[0] ^= 1;
        failing(() -> TrophyClient.verifyWebhook(body, signature, "secret"), "invalid_signature");
    }

    private static void logged() throws Exception {
        List<String> lines = Collections.synchronizedList(new ArrayList<>());
        TrophyClient.onLog(4, (level, message) -> lines.add(message));
        try (TrophyClient client = open(Map.of())) {
            client.call("achievements_all", null);
        }
        TrophyClient.onLog(0, null);
        equal(lines.isEmpty(), false);
        equal(lines.toString().contains("open-sesame"), false);
    }

    private static long residentKib() throws IOException {
        return 4 * Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]);
    }

    private static void flat(TrophyClient client) throws Exception {
        // The heap is fixed and touched at start (test.sh), so what grows is not the collector's laziness.
        Runnable many = () -> {
            for (int i = 0; i < 10_000; i++) {
                client.stats();
                failing(() -> client.call("users_streak", Map.of("id", "18", "nonsense", 1)), "invalid_argument");
            }
        };
        many.run();
        long before = residentKib();
        many.run();
        long grown = residentKib() - before;
        // A leaked error alone would be 10,000 times 150 bytes of text, and its map entry.
        if (grown > 8192) {
            throw new AssertionError("grew by " + grown + " KiB");
        }
    }

    private static void forgotten() throws Exception {
        // An open handle is seen by its connection: the host's end of it closes when the client is freed.
        try (ServerSocket host = silent()) {
            CompletableFuture<Json> future = open(at(host)).callAsync("achievements_all", null);
            try (Socket connection = host.accept()) {
                System.gc();
                equal(future.isDone(), false); // a client with a call under way is not forgotten
                connection.getInputStream().read();
                connection.getOutputStream().write(
                        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]".getBytes(StandardCharsets.UTF_8));
                equal(future.join().text(), "[]");
                collectUntilClosed(connection);
            }
        }
    }

    private static void forgottenWithListener() throws Exception {
        Map<?, ?> entries = entries();
        waitFor(() -> {
            System.gc();
            return entries.isEmpty(); // of tests before
        });
        for (String mode : List.of("worker", "dispatch")) {
            try (ServerSocket host = silent()) {
                forgetWithListener(host, mode);
                equal(entries.size(), 1);
                try (Socket connection = host.accept()) {
                    collectUntilClosed(connection);
                }
                waitFor(() -> {
                    System.gc();
                    return entries.isEmpty();
                });
            }
        }
    }

    private static void forgetWithListener(ServerSocket host, String mode) {
        Map<String, Object> options = new LinkedHashMap<>(at(host));
        options.put("callbacks", mode);
        options.put("attempt_timeout_in_seconds", WAIT); // else the connection ends with the attempt
        TrophyClient client = open(options);
        client.onDelivery((delivery, error) -> client.stats());
        client.enqueue(Event.of("words-written", "java-forgotten", 1));
    }

    /** Who waits for callbacks. */
    private static Map<?, ?> entries() throws ReflectiveOperationException {
        Field entries = Class.forName("so.trophy.Library$Waiting").getDeclaredField("ENTRIES");
        entries.setAccessible(true);
        return (Map<?, ?>) entries.get(null);
    }

    private static void collectUntilClosed(Socket connection) throws Exception {
        connection.setSoTimeout(10);
        waitFor(() -> {
            System.gc();
            try {
                while (connection.getInputStream().read() >= 0) {
                    // what is left of the request
                }
                return true;
            } catch (SocketTimeoutException open) {
                return false;
            } catch (IOException closed) {
                return true;
            }
        });
    }

    private static void example() throws Exception {
        Process process = start("Example");
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        equal(process.waitFor(), 0);
        equal(text.contains("streak: 1") && text.contains("undelivered: 0"), true);
    }
}
