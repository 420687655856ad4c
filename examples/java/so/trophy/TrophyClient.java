// libtrophy for Java 17 and later, by JNA.

package so.trophy;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Cleaner;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiConsumer;
import java.util.function.Function;

/**
 * A client, or a tenant's handle on one. Safe from any thread; one for a process is enough.
 *
 * <p>Every method throws {@link TrophyException}; the futures complete with it. A future's {@code cancel} ends its
 * call. Futures complete on threads of the library (or inside {@link #dispatch}, with the option
 * {@code "callbacks": "dispatch"}): use {@code thenAcceptAsync} for work that takes time.
 */
public final class TrophyClient implements AutoCloseable {
    private static final Cleaner CLEANER = Cleaner.create();

    private final Handle handle;
    private final Cleaner.Cleanable net;
    private final AtomicLong delivery;

    /** A client with the key in TROPHY_API_KEY and the default options. */
    public TrophyClient() {
        this(null, (Map<String, ?>) null);
    }

    /**
     * @param apiKey null: the variable TROPHY_API_KEY
     * @param options the client options of trophy.h; null for the defaults
     */
    public TrophyClient(String apiKey, Map<String, ?> options) {
        this(open(out -> json -> Library.C.trophy_client_new(
                Library.text("apiKey", apiKey), json(options), out, json)), new AtomicLong());
    }

    private TrophyClient(Handle handle, AtomicLong delivery) {
        this.handle = handle;
        this.delivery = delivery;
        // A net for clients that nobody closed. It must not hold on to `this`.
        this.net = CLEANER.register(this, handle::close);
    }

    private static Handle open(Function<PointerByReference, Library.Call> call) {
        PointerByReference out = new PointerByReference();
        Library.call(call.apply(out));
        return new Handle(out.getValue());
    }

    /** A second handle on the same client, whose calls are for a tenant. */
    public TrophyClient forTenant(String tenantId) {
        return handle.use(client -> new TrophyClient(
                open(out -> json -> Library.C.trophy_client_for_tenant(
                        client, Library.text("tenantId", tenantId), out, json)),
                delivery));
    }

    // ---- Events -----------------------------------------------------------------------------------------------

    /**
     * An event: {@code value} is added to a user's metric.
     *
     * @param user with an {@code "id"}, and what is to be set: email, name, tz, attributes
     * @param attributes of the event, or null
     * @param idempotencyKey what makes it the same as another, such as your row's id; null: one is made
     * @param options request options of trophy.h, or null
     */
    public record Event(String key, Map<String, ?> user, double value, Map<String, String> attributes,
            String idempotencyKey, Map<String, ?> options) {
        public Event {
            Library.text("key", key);
            Library.text("idempotencyKey", idempotencyKey);
        }

        public static Event of(String key, String userId, double value) {
            return new Event(key, Map.of("id", userId), value, null, null, null);
        }

        public Event withAttributes(Map<String, String> attributes) {
            return new Event(key, user, value, attributes, idempotencyKey, options);
        }

        public Event withIdempotencyKey(String idempotencyKey) {
            return new Event(key, user, value, attributes, idempotencyKey, options);
        }
    }

    /** Sends an event and waits for its reply. */
    public Json event(Event event) {
        return handle.use(client -> Library.call(out -> Library.C.trophy_metrics_event(
                client, event.key, json(event.user), event.value, json(event.attributes), event.idempotencyKey,
                json(event.options), out)));
    }

    /** Sends an event without waiting. */
    public CompletableFuture<Json> eventAsync(Event event) {
        return begin((client, id) -> out -> Library.C.trophy_metrics_event_async(
                client, event.key, json(event.user), event.value, json(event.attributes), event.idempotencyKey,
                json(event.options), Library.Waiting.CALLBACK, id, out));
    }

    /** Puts an event into the queue, which delivers it. Gives its idempotency key. */
    public String enqueue(Event event) {
        return handle.use(client -> Library.call(out -> Library.C.trophy_metrics_event_enqueue(
                client, event.key, json(event.user), event.value, json(event.attributes), event.idempotencyKey,
                json(event.options), out))).string("/idempotencyKey");
    }

    /** Waits until the queue is delivered; false if it was not in time. A negative time waits for ever. */
    public boolean flush(long timeoutMs) {
        try {
            handle.use(client -> Library.call(out -> Library.C.trophy_client_flush(client, timeoutMs, out)));
            return true;
        } catch (TrophyException error) {
            if (error.status() == Library.TIMEOUT) {
                return false;
            }
            throw error;
        }
    }

    /**
     * Sets who hears how each queued event ended; null: nobody. The first argument has idempotencyKey, key, userId
     * and response, the second is null if the event was delivered.
     */
    public void onDelivery(BiConsumer<Json, TrophyException> listener) {
        handle.use(client -> {
            long id = listener == null ? 0 : Library.Waiting.add((status, json) ->
                    listener.accept(new Json(json), status == Library.OK ? null : new TrophyException(status, json)));
            // One at a time, so that the library's listener is the one remembered here.
            synchronized (delivery) {
                Library.C.trophy_client_on_delivery(
                        client, listener == null ? null : Library.Waiting.CALLBACK, new Pointer(id));
                Library.Waiting.remove(delivery.getAndSet(id));
            }
            return null;
        });
    }

    // ---- Every operation ----------------------------------------------------------------------------------------

    /** Calls any operation by its name: {@code call("users_streak", Map.of("id", "18"))}. */
    public Json call(String operation, Map<String, ?> args) {
        return handle.use(client -> Library.call(out -> Library.C.trophy_call(
                client, Library.text("operation", operation), json(args), out)));
    }

    /** Calls any operation without waiting. */
    public CompletableFuture<Json> callAsync(String operation, Map<String, ?> args) {
        return begin((client, id) -> out -> Library.C.trophy_call_async(
                client, Library.text("operation", operation), json(args), Library.Waiting.CALLBACK, id, out));
    }

    /** A user's streak. */
    public Json streak(String userId) {
        return call("users_streak", Map.of("id", userId));
    }

    /** Creates a user, or changes the one there is: email, name, tz, attributes. */
    public Json identify(String userId, Map<String, ?> user) {
        return call("users_identify", Map.of("id", userId, "body", user));
    }

    /** A user's completed achievements. */
    public Json achievements(String userId) {
        return call("users_achievements", Map.of("id", userId));
    }

    /** Marks an achievement as completed by a user. */
    public Json completeAchievement(String key, Map<String, ?> user) {
        return call("achievements_complete", Map.of("key", key, "body", Map.of("user", user)));
    }

    /** A leaderboard with its rankings. {@code args}: offset, limit, run, userId, userAttributes. */
    public Json leaderboard(String key, Map<String, ?> args) {
        Map<String, Object> all = new LinkedHashMap<>(args);
        all.put("key", key);
        return call("leaderboards_get", all);
    }

    // ---- The client itself --------------------------------------------------------------------------------------

    /** What the client has done and has to do. */
    public Json stats() {
        return handle.use(client -> Library.call(out -> Library.C.trophy_client_stats(client, out)));
    }

    /** Changes the API key, after it was rotated. */
    public void setApiKey(String apiKey) {
        handle.use(client -> Library.call(out -> Library.C.trophy_client_set_api_key(
                client, Library.text("apiKey", apiKey), out)));
    }

    /** Completes the futures that are ready, on this thread; with {@code "callbacks": "dispatch"} only. How many. */
    public long dispatch(long timeoutMs) {
        return handle.use(client -> Library.C.trophy_client_dispatch(client, timeoutMs).longValue());
    }

    /** Ends the client within 2 seconds, and frees this handle. Again is fine. */
    @Override
    public void close() {
        close(2000);
    }

    /**
     * Ends the client for all its handles: delivers what is queued, for up to {@code timeoutMs}, cancels the calls
     * that are left, frees this handle. Again is fine.
     *
     * @return how many events are undelivered; they stay in the queue's folder, if it has one
     */
    public long close(long timeoutMs) {
        if (handle.isClosed()) {
            return 0;
        }
        long undelivered = handle.use(client -> {
            PointerByReference out = new PointerByReference();
            int status = Library.C.trophy_client_close(client, timeoutMs, out);
            String json = Library.take(out.getValue());
            // Refused inside a callback: then the handle stays.
            if (status != Library.OK && status != Library.TIMEOUT) {
                throw new TrophyException(status, json);
            }
            return (long) new Json(json).number("/undelivered", 0);
        });
        net.clean();
        Library.Waiting.remove(delivery.getAndSet(0));
        return undelivered;
    }

    /** The version of the library that runs. */
    public static String version() {
        return Library.C.trophy_version();
    }

    /**
     * Checks that a webhook was signed with your secret, before you read it.
     *
     * @return the body, if it is JSON
     * @throws TrophyException with code "invalid_signature" if it was not: answer 401
     */
    public static Json verifyWebhook(byte[] body, String signature, String secret) {
        return Library.call(out -> Library.C.trophy_webhook_verify(
                body, new Library.SizeT(body.length), Library.text("signature", signature),
                Library.text("secret", secret), out));
    }

    private static Library.Log log;

    /** Sets where log lines go (level 1 error to 4 debug), on whatever thread they come from; null: nowhere. */
    public static synchronized void onLog(int level, BiConsumer<Integer, String> listener) {
        Library.Log next = listener == null ? null : (at, message, userData) -> {
            try {
                listener.accept(at, message.getString(0, "UTF-8"));
            } catch (Throwable thrown) {
                Thread thread = Thread.currentThread();
                thread.getUncaughtExceptionHandler().uncaughtException(thread, thrown);
            }
        };
        Library.C.trophy_log_set_callback(level, next, null);
        // Only now may the one before it be collected.
        log = next;
    }

    private interface Begin {
        Library.Call with(Pointer client, Pointer userData);
    }

    private CompletableFuture<Json> begin(Begin call) {
        CompletableFuture<Json> future = new CompletableFuture<>();
        long id = Library.Waiting.add((status, json) -> {
            if (status == Library.OK) {
                future.complete(new Json(json));
            } else {
                future.completeExceptionally(new TrophyException(status, json));
            }
        });
        future.whenComplete((reply, error) -> {
            Library.Waiting.remove(id);
            if (error instanceof CancellationException && !handle.isClosed()) {
                handle.use(client -> Library.C.trophy_client_cancel(client, new Pointer(id)));
            }
        });
        try {
            handle.use(client -> Library.call(call.with(client, new Pointer(id))));
        } catch (RuntimeException refused) {
            future.completeExceptionally(refused);
        }
        return future;
    }

    private static String json(Object value) {
        try {
            return value == null ? null : Json.write(value);
        } catch (IllegalArgumentException problem) {
            throw TrophyException.of(Library.INVALID_ARGUMENT, "invalid_argument", problem.getMessage());
        }
    }

    /** The C handle, freed by whoever uses it last: never under a thread that is still in a call. */
    private static final class Handle {
        private final Pointer pointer;
        private int users = 1;
        private boolean closed;

        Handle(Pointer pointer) {
            this.pointer = pointer;
        }

        <T> T use(Function<Pointer, T> call) {
            synchronized (this) {
                if (closed) {
                    throw TrophyException.of(Library.CLOSED, "closed", "this client is closed: make another");
                }
                users++;
            }
            try {
                return call.apply(pointer);
            } finally {
                release();
            }
        }

        synchronized boolean isClosed() {
            return closed;
        }

        void close() {
            synchronized (this) {
                if (closed) {
                    return;
                }
                closed = true;
            }
            release();
        }

        private void release() {
            boolean last;
            synchronized (this) {
                last = --users == 0;
            }
            if (last) {
                Library.C.trophy_client_free(pointer);
            }
        }
    }
}
