// The wrapper against the sandbox. Each test is a sentence; a failed one ends the run.

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import so.trophy.Json;
import so.trophy.TrophyClient;
import so.trophy.TrophyClient.Event;
import so.trophy.TrophyException;

public final class Test {
    private static final String KEY = "sandbox_admin.open-sesame";
    private static Json ready;

    private interface Case {
        void run(TrophyClient client) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        Path readyFile = Files.createTempDirectory("trophy").resolve("ready");
        Process sandbox = new ProcessBuilder(System.getenv("TROPHY_SANDBOX"), "--port", "0", "--exit-with-stdin",
                "--ready-file", readyFile.toString()).redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        waitFor(() -> Files.exists(readyFile));
        ready = new Json(Files.readString(readyFile));
        Files.delete(readyFile);
        Files.delete(readyFile.getParent());

        Map<String, Case> tests = new LinkedHashMap<>();
        tests.put("an_event_with_the_same_key_counts_once", Test::once);
        tests.put("an_unknown_user_is_an_error_with_its_code", Test::notFound);
        tests.put("a_wrong_argument_is_named_and_nothing_is_sent", Test::wrongArgument);
        tests.put("unicode_comes_back_as_it_went", Test::unicode);
        tests.put("a_hundred_asynchronous_events_each_answer_once", Test::hundred);
        tests.put("a_cancelled_future_ends_its_call", client -> cancelled());
        tests.put("futures_complete_in_dispatch_where_asked", client -> dispatched());
        tests.put("an_exception_in_a_callback_stays_in_java", Test::throwing);
        tests.put("queued_events_are_delivered_and_heard_of", Test::queued);
        tests.put("a_tenant_has_its_own_users", Test::tenant);
        tests.put("the_common_operations_have_methods", Test::common);
        tests.put("a_client_is_closed_once_and_then_says_so", client -> closedTwice());
        tests.put("a_blocked_call_ends_when_the_client_closes", client -> closedUnder());
        tests.put("a_webhook_is_checked", client -> webhook());
        tests.put("log_lines_are_heard", client -> logged());
        tests.put("ten_thousand_calls_leave_the_memory_flat", Test::flat);
        tests.put("a_forgotten_client_is_freed", client -> forgotten());
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
        for (int i = 0; i < 1000; i++) {
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
            equal(client.close(0), 0L);
        }
    }

    private static void dispatched() {
        try (TrophyClient client = open(Map.of("callbacks", "dispatch"))) {
            AtomicReference<Thread> ran = new AtomicReference<>();
            client.callAsync("achievements_all", null).thenRun(() -> ran.set(Thread.currentThread()));
            equal(client.dispatch(10_000), 1L);
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
        equal(client.flush(10_000), true);
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
        equal(client.close(5000), 0L);
        equal(client.close(5000), 0L);
        client.close();
        failing(() -> client.streak("18"), "closed");
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
        }
    }

    private static void example() throws Exception {
        ProcessBuilder example = new ProcessBuilder(ProcessHandle.current().info().command().orElse("java"), "-cp",
                System.getProperty("java.class.path"), "Example").redirectErrorStream(true);
        example.environment().put("TROPHY_API_KEY", KEY);
        example.environment().put("TROPHY_BASE_URL", ready.string("/url"));
        Process process = example.start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        equal(process.waitFor(), 0);
        equal(text.contains("streak: 1") && text.contains("undelivered: 0"), true);
    }
}
