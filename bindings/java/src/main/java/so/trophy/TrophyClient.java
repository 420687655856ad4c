// libtrophy for Java 17 and later, by JNA.

package so.trophy;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Cleaner;
import java.lang.ref.WeakReference;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * A client, or a tenant's handle on one. Safe from any thread; one for a process is enough.
 *
 * <p>Every method throws {@link TrophyException}; the futures complete with it. {@code Thread.interrupt} ends a call
 * that blocks, with the code "cancelled". Whatever else completes a future ({@code cancel}, {@code orTimeout}) ends its
 * call. Futures complete on threads of the library (or inside {@link #dispatch}, with the option
 * {@code "callbacks": "dispatch"}): use {@code thenAcceptAsync} for work that takes time.
 */
public final class TrophyClient implements AutoCloseable {
    private static final Cleaner CLEANER = Cleaner.create();

    /** How long a wait in C is deaf to an interrupt. */
    private static final long SLICE_MS = 100;

    private final Handle handle;
    private final Cleaner.Cleanable net;
    private final Shared shared;
    private final boolean isTenant;

    /** A client with the key in TROPHY_API_KEY and the default options. */
    public TrophyClient() {
        this(null, (Map<String, ?>) null);
    }

    /**
     * @param apiKey null: the variable TROPHY_API_KEY
     * @param options the client options of trophy.h, null for the defaults; {@code workers}, how many calls run at a
     *     time, is 16 if left out
     */
    public TrophyClient(String apiKey, Map<String, ?> options) {
        this(open(apiKey, options), new Shared(options), false);
    }

    private TrophyClient(Handle handle, Shared shared, boolean isTenant) {
        this.handle = handle;
        this.shared = shared;
        this.isTenant = isTenant;
        // A net for clients that nobody closed. It must not hold on to `this`.
        this.net = CLEANER.register(this, handle::close);
    }

    private static Handle open(String apiKey, Map<String, ?> options) {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("workers", 16);
        all.putAll(options == null ? Map.of() : options);
        String text = json("", all);
        return Handle.open(out -> json -> Library.C.trophy_client_new(Library.text("apiKey", apiKey), text, out, json));
    }

    /** A second handle on the same client, whose calls are for a tenant. Its {@code close} lets go of it only. */
    public TrophyClient forTenant(String tenantId) {
        String tenant = Library.text("tenantId", tenantId);
        return handle.use(client -> new TrophyClient(
                Handle.open(out -> json -> Library.C.trophy_client_for_tenant(client, tenant, out, json)), shared, true));
    }

    /** What was left when a client was closed: events still in the queue, and calls that had to be cancelled. */
    public record Ending(long undelivered, long cancelled) {}

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
            return new Event(key, Map.of("id", needed("userId", userId)), value, null, null, null);
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
        Text text = new Text(event);
        return await(
                client -> out -> Library.C.trophy_metrics_event(client, text.key, text.user, text.value, text.attributes,
                        text.idempotencyKey, text.options, out),
                text);
    }

    /** Sends an event without waiting. */
    public CompletableFuture<Json> eventAsync(Event event) {
        return begin(shared.later(), () -> new Text(event));
    }

    /** Puts an event into the queue, which delivers it. Gives its idempotency key. */
    public String enqueue(Event event) {
        Text text = new Text(event);
        return handle.use(client -> Library.call(out -> Library.C.trophy_metrics_event_enqueue(client, text.key, text.user,
                text.value, text.attributes, text.idempotencyKey, text.options, out))).string("/idempotencyKey");
    }

    /** Waits until the queue is delivered, or the time has passed; a negative time waits for ever. How many are left. */
    public long flush(long timeoutMs) {
        Long undelivered = slices(timeoutMs, (sliceMs, isLast) -> handle.use(client -> {
            PointerByReference out = new PointerByReference();
            int status = Library.C.trophy_client_flush(client, sliceMs, out);
            String json = Library.take(out.getValue());
            if (status == Library.CANCELLED) {
                throw cancelled("flush: the client was closed meanwhile");
            }
            if (status != Library.OK && status != Library.TIMEOUT) {
                throw new TrophyException(status, json);
            }
            long left = (long) new Json(json).number("/undelivered", 0);
            return left == 0 || isLast ? left : null;
        }));
        if (undelivered == null) {
            throw cancelled("flush: this thread was interrupted");
        }
        return undelivered;
    }

    /**
     * Sets who hears how each queued event ended; null: nobody. The first argument has idempotencyKey, key, userId
     * and response, the second is null if the event was delivered.
     */
    public void onDelivery(BiConsumer<Json, TrophyException> listener) {
        handle.use(client -> {
            if (listener != null) {
                shared.hear(listener);
            }
            // With no lock held: it waits for a callback that runs, which may be about to call this, too.
            Library.C.trophy_client_on_delivery(
                    client, listener == null ? null : Library.Waiting.CALLBACK, new Pointer(shared.deliveries));
            if (listener == null) {
                shared.hearNoMore();
            }
            return null;
        });
    }

    // ---- Every operation ----------------------------------------------------------------------------------------

    /** Calls any operation by its name: {@code call("users_streak", Map.of("id", "18"))}. */
    public Json call(String operation, Map<String, ?> args) {
        Call call = new Call(operation, args);
        return await(client -> out -> Library.C.trophy_call(client, call.operation, call.args, out), call);
    }

    /** Calls any operation without waiting. */
    public CompletableFuture<Json> callAsync(String operation, Map<String, ?> args) {
        return begin(shared.later(), () -> new Call(operation, args));
    }

    /** A user's streak. */
    public Json streak(String userId) {
        return call("users_streak", Map.of("id", needed("userId", userId)));
    }

    /** Creates a user, or changes the one there is: email, name, tz, attributes. */
    public Json identify(String userId, Map<String, ?> user) {
        return call("users_identify", Map.of("id", needed("userId", userId), "body", needed("user", user)));
    }

    /** A user's completed achievements. */
    public Json achievements(String userId) {
        return call("users_achievements", Map.of("id", needed("userId", userId)));
    }

    /** Marks an achievement as completed by a user. */
    public Json completeAchievement(String key, Map<String, ?> user) {
        return call("achievements_complete",
                Map.of("key", needed("key", key), "body", Map.of("user", needed("user", user))));
    }

    /** A leaderboard with its rankings. {@code args}: offset, limit, run, userId, userAttributes; or null. */
    public Json leaderboard(String key, Map<String, ?> args) {
        Map<String, Object> all = new LinkedHashMap<>(args == null ? Map.of() : args);
        all.put("key", needed("key", key));
        return call("leaderboards_get", all);
    }

    // ---- The client itself --------------------------------------------------------------------------------------

    /** What the client has done and has to do. */
    public Json stats() {
        return handle.use(client -> Library.call(out -> Library.C.trophy_client_stats(client, out)));
    }

    /** Changes the API key, after it was rotated. */
    public void setApiKey(String apiKey) {
        String key = Library.text("apiKey", apiKey);
        handle.use(client -> Library.call(out -> Library.C.trophy_client_set_api_key(client, key, out)));
    }

    /**
     * Completes the futures that are ready, on this thread, with {@code "callbacks": "dispatch"} only. Waits up to
     * {@code timeoutMs} for the first, negative for ever, and no longer than until an interrupt. How many.
     */
    public long dispatch(long timeoutMs) {
        slices(timeoutMs, (sliceMs, isLast) -> {
            handle.use(client -> Library.C.trophy_client_dispatch(client, shared.due.isEmpty() ? sliceMs : 0));
            return shared.isDispatched && shared.due.isEmpty() && !shared.isClosed && !isLast ? null : 0L;
        });
        return shared.runDue();
    }

    /** Ends the client within 2 seconds, and frees this handle. Again is fine. */
    @Override
    public void close() {
        close(2000);
    }

    /**
     * Ends the client: delivers what is queued, for up to {@code timeoutMs} (an interrupt ends that), cancels the calls
     * that are left, frees this handle. Of a tenant's handle it only lets go. Again is fine.
     *
     * @return what is left; undelivered events stay in the queue's folder, if it has one
     */
    public Ending close(long timeoutMs) {
        Ending nothing = new Ending(0, 0);
        Ending ending = isTenant ? nothing : handle.useIfOpen(client -> end(client, timeoutMs), nothing);
        net.clean();
        if (!isTenant) {
            shared.close();
        }
        return ending;
    }

    private static Ending end(Pointer client, long timeoutMs) {
        if (Library.Waiting.isInside()) {
            return endNow(client, timeoutMs); // The library refuses, since it would wait for this callback.
        }
        CompletableFuture<Ending> ending = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                ending.complete(endNow(client, timeoutMs));
            } catch (TrophyException refused) {
                ending.completeExceptionally(refused);
            }
        }, "trophy-close");
        thread.setDaemon(true);
        thread.start();
        boolean isInterrupted = false;
        try {
            while (true) {
                try {
                    return get(ending);
                } catch (InterruptedException interrupted) {
                    isInterrupted = true;
                    // Ends the other one.
                    endNow(client, 0);
                }
            }
        } finally {
            if (isInterrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static Ending endNow(Pointer client, long timeoutMs) {
        PointerByReference out = new PointerByReference();
        int status = Library.C.trophy_client_close(client, timeoutMs, out);
        Json json = new Json(Library.take(out.getValue()));
        if (status != Library.OK && status != Library.TIMEOUT) {
            throw new TrophyException(status, json.text());
        }
        return new Ending((long) json.number("/undelivered", 0), (long) json.number("/cancelled", 0));
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
                needed("body", body), new Library.SizeT(body.length), Library.text("signature", signature),
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

    // ---- How calls are made -------------------------------------------------------------------------------------

    /** An asynchronous call: its arguments as C takes them. */
    private interface Start {
        Library.Call with(Pointer client, Pointer userData);
    }

    private static final class Text implements Start {
        final String key, user, attributes, idempotencyKey, options;
        final double value;

        Text(Event event) {
            needed("event", event);
            key = event.key;
            user = json("user", event.user);
            value = event.value;
            attributes = json("attributes", event.attributes);
            idempotencyKey = event.idempotencyKey;
            options = json("options", event.options);
        }

        @Override
        public Library.Call with(Pointer client, Pointer id) {
            return out -> Library.C.trophy_metrics_event_async(client, key, user, value, attributes, idempotencyKey,
                    options, Library.Waiting.CALLBACK, id, out);
        }
    }

    private static final class Call implements Start {
        final String operation, args;

        Call(String operation, Map<String, ?> args) {
            this.operation = Library.text("operation", operation);
            this.args = json("", args);
        }

        @Override
        public Library.Call with(Pointer client, Pointer id) {
            return out -> Library.C.trophy_call_async(client, operation, args, Library.Waiting.CALLBACK, id, out);
        }
    }

    /** A call that blocks: an asynchronous one, which an interrupt cancels. */
    private Json await(Function<Pointer, Library.Call> blocking, Start start) {
        if (Library.Waiting.isInside()) {
            // The callback has one of the threads that an asynchronous call would need.
            return handle.use(client -> Library.call(blocking.apply(client)));
        }
        CompletableFuture<Json> future = begin(null, () -> start);
        try {
            if (shared.isDispatched) {
                // The callbacks of others wait for their dispatch().
                slices(-1, (sliceMs, isLast) -> {
                    if (!future.isDone()) {
                        handle.use(client -> Library.C.trophy_client_dispatch(client, sliceMs));
                    }
                    return future.isDone() ? true : null;
                });
            }
            return get(future);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw cancelled("this thread was interrupted; an event under way may have been counted");
        } finally {
            future.cancel(true);
        }
    }

    private CompletableFuture<Json> begin(Queue<Runnable> due, Supplier<Start> arguments) {
        CompletableFuture<Json> future = new CompletableFuture<>();
        long id = Library.Waiting.newId();
        Library.Waiting.put(id, true, due, (status, json) -> {
            if (status == Library.OK) {
                future.complete(new Json(json));
            } else {
                future.completeExceptionally(new TrophyException(status, json));
            }
        });
        future.whenComplete((reply, error) -> {
            // Still there: it was not the library that completed it.
            if (Library.Waiting.remove(id)) {
                handle.useIfOpen(client -> Library.C.trophy_client_cancel(client, new Pointer(id)), null);
            }
        });
        try {
            Start start = arguments.get();
            handle.use(client -> Library.call(start.with(client, new Pointer(id))));
        } catch (RuntimeException refused) {
            Library.Waiting.remove(id);
            future.completeExceptionally(refused);
        }
        return future;
    }

    private static <T> T get(CompletableFuture<T> future) throws InterruptedException {
        try {
            return future.get();
        } catch (ExecutionException failed) {
            if (failed.getCause() instanceof TrophyException error) {
                // As if it had been thrown here.
                error.fillInStackTrace();
                throw error;
            }
            throw new IllegalStateException(failed.getCause());
        }
    }

    private interface Slice<T> {
        /** Null: not yet. */
        T wait(long sliceMs, boolean isLast);
    }

    /** Waits in pieces, between which an interrupt is heard: then it gives null. */
    private static <T> T slices(long timeoutMs, Slice<T> slice) {
        long until = System.nanoTime() + Math.min(timeoutMs, 1_000_000_000_000L) * 1_000_000;
        long leftMs = timeoutMs;
        while (!Thread.currentThread().isInterrupted()) {
            boolean isLast = timeoutMs >= 0 && leftMs <= SLICE_MS;
            T result = slice.wait(isLast ? Math.max(0, leftMs) : SLICE_MS, isLast);
            if (result != null || isLast) {
                return result;
            }
            leftMs = (until - System.nanoTime() + 999_999) / 1_000_000;
        }
        return null;
    }

    private static TrophyException cancelled(String message) {
        return TrophyException.of(Library.CANCELLED, "cancelled", message);
    }

    private static <T> T needed(String name, T value) {
        if (value == null) {
            throw TrophyException.invalid(name + ": must not be null");
        }
        return value;
    }

    private static String json(String name, Object value) {
        try {
            return value == null ? null : Library.text(name, Json.write(name, value));
        } catch (IllegalArgumentException problem) {
            throw TrophyException.invalid(problem.getMessage());
        }
    }

    /** What the handles of a client have in common. */
    private static final class Shared {
        final boolean isDispatched;
        /** Callbacks that came from C, and wait for dispatch(). */
        final Queue<Runnable> due = new ConcurrentLinkedQueue<>();
        volatile boolean isClosed;
        /** The user_data of deliveries. */
        final long deliveries = Library.Waiting.newId();
        private volatile BiConsumer<Json, TrophyException> listener;

        Shared(Map<String, ?> options) {
            isDispatched = options != null && "dispatch".equals(options.get("callbacks"));
            long id = deliveries; // Without `this`, again.
            CLEANER.register(this, () -> Library.Waiting.remove(id));
        }

        void hear(BiConsumer<Json, TrophyException> listener) {
            this.listener = listener;
            // Weak, so that a listener which holds its client does not keep both for ever.
            WeakReference<Shared> weak = new WeakReference<>(this);
            Library.Waiting.put(deliveries, false, null, (status, json) -> {
                Shared shared = weak.get();
                if (shared != null) {
                    shared.deliver(status, json);
                }
            });
        }

        void hearNoMore() {
            Library.Waiting.remove(deliveries);
            listener = null;
        }

        private void deliver(int status, String json) {
            BiConsumer<Json, TrophyException> hears = listener;
            if (hears == null) {
                return;
            }
            Runnable callback = () -> hears.accept(
                    new Json(json), status == Library.OK ? null : new TrophyException(status, json));
            if (isDispatched) {
                due.add(callback);
            } else {
                callback.run();
            }
        }

        Queue<Runnable> later() {
            return isDispatched ? due : null;
        }

        long runDue() {
            long count = 0;
            // Those that come meanwhile are for the next time.
            for (int left = due.size(); left > 0; left--) {
                Runnable callback = due.poll();
                if (callback == null) {
                    break;
                }
                Library.Waiting.guard(callback);
                count++;
            }
            return count;
        }

        void close() {
            isClosed = true;
            hearNoMore();
            runDue();
        }
    }

    /** The C handle, freed by whoever uses it last: never under a thread that is still in a call. */
    private static final class Handle {
        private static final Set<Handle> OPEN = ConcurrentHashMap.newKeySet();

        static {
            // What nobody closed ends before the virtual machine, which no callback may enter then.
            Runtime.getRuntime().addShutdownHook(new Thread(Handle::endAll, "trophy-end"));
        }

        private final Pointer pointer;
        private int users = 1;
        private boolean closed;

        static Handle open(Function<PointerByReference, Library.Call> call) {
            PointerByReference out = new PointerByReference();
            Library.call(call.apply(out));
            Handle handle = new Handle(out.getValue());
            OPEN.add(handle);
            return handle;
        }

        private Handle(Pointer pointer) {
            this.pointer = pointer;
        }

        private static void endAll() {
            for (Handle handle : OPEN) {
                handle.useIfOpen(client -> endNow(client, 0), null);
            }
            // Half a second for callbacks that run: one that called System.exit() never returns.
            for (int i = 0; i < 100 && Library.Waiting.isBusy(); i++) {
                try {
                    Thread.sleep(5);
                } catch (InterruptedException interrupted) {
                    return;
                }
            }
        }

        <T> T use(Function<Pointer, T> call) {
            return use(call, () -> {
                throw TrophyException.of(Library.CLOSED, "closed", "this client is closed: make another");
            });
        }

        <T> T useIfOpen(Function<Pointer, T> call, T otherwise) {
            return use(call, () -> otherwise);
        }

        private <T> T use(Function<Pointer, T> call, Supplier<T> ifClosed) {
            synchronized (this) {
                if (closed) {
                    return ifClosed.get();
                }
                users++;
            }
            try {
                return call.apply(pointer);
            } finally {
                release();
            }
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
                OPEN.remove(this);
                if (Library.Waiting.isInside()) {
                    // There the library frees nothing.
                    new Thread(() -> Library.C.trophy_client_free(pointer), "trophy-free").start();
                } else {
                    Library.C.trophy_client_free(pointer);
                }
            }
        }
    }
}
