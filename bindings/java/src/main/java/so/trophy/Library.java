// The C library as JNA sees it; nothing here is public.

package so.trophy;

import com.sun.jna.Callback;
import com.sun.jna.CallbackThreadInitializer;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.io.File;
import java.io.IOException;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

interface Library extends com.sun.jna.Library {
    int OK = 0;
    int INVALID_ARGUMENT = 1;
    int CLOSED = 2;
    int CANCELLED = 3;
    int TIMEOUT = 11;

    Library C = load();

    /** TROPHY_LIBRARY; else what the jar has in it, unpacked; else what the system has. */
    private static Library load() {
        String named = System.getenv("TROPHY_LIBRARY");
        File packaged = null;
        try {
            packaged = named == null ? Native.extractFromResourcePath("trophy", Library.class.getClassLoader()) : null;
        } catch (IOException notInTheJar) {
            // The system's, then.
        }
        String path = packaged != null ? packaged.getPath() : named != null ? named : "trophy";
        Library library = Native.load(path, Library.class, Map.of(com.sun.jna.Library.OPTION_STRING_ENCODING, "UTF-8"));
        if (packaged != null && packaged.getName().startsWith("jna")) {
            // A copy that JNA unpacked is not needed once it is loaded. Windows keeps it until the process ends.
            packaged.delete();
        }
        return library;
    }

    interface Outcome extends Callback {
        void invoke(int status, Pointer json, Pointer userData);
    }

    interface Log extends Callback {
        void invoke(int level, Pointer message, Pointer userData);
    }

    String trophy_version();

    String trophy_status_name(int status);

    void trophy_string_free(Pointer string);

    void trophy_log_set_callback(int level, Log callback, Pointer userData);

    int trophy_client_new(String apiKey, String optionsJson, PointerByReference outClient, PointerByReference outJson);

    int trophy_client_for_tenant(Pointer client, String tenantId, PointerByReference outClient, PointerByReference outJson);

    SizeT trophy_client_dispatch(Pointer client, long timeoutMs);

    SizeT trophy_client_cancel(Pointer client, Pointer userData);

    int trophy_client_stats(Pointer client, PointerByReference outJson);

    int trophy_client_close(Pointer client, long timeoutMs, PointerByReference outJson);

    void trophy_client_free(Pointer client);

    int trophy_client_set_api_key(Pointer client, String apiKey, PointerByReference outJson);

    int trophy_metrics_event(Pointer client, String key, String userJson, double value, String attributesJson,
            String idempotencyKey, String optionsJson, PointerByReference outJson);

    int trophy_metrics_event_async(Pointer client, String key, String userJson, double value, String attributesJson,
            String idempotencyKey, String optionsJson, Outcome callback, Pointer userData, PointerByReference outJson);

    int trophy_metrics_event_enqueue(Pointer client, String key, String userJson, double value, String attributesJson,
            String idempotencyKey, String optionsJson, PointerByReference outJson);

    int trophy_client_flush(Pointer client, long timeoutMs, PointerByReference outJson);

    void trophy_client_on_delivery(Pointer client, Outcome callback, Pointer userData);

    int trophy_call(Pointer client, String operation, String argsJson, PointerByReference outJson);

    int trophy_call_async(Pointer client, String operation, String argsJson, Outcome callback, Pointer userData,
            PointerByReference outJson);

    int trophy_webhook_verify(byte[] body, SizeT bodyLength, String signature, String secret, PointerByReference outJson);

    double trophy_json_number(String json, String pointer, double fallback);

    Pointer trophy_json_string(String json, String pointer);

    long trophy_json_length(String json, String pointer);

    /** C's size_t. */
    final class SizeT extends com.sun.jna.IntegerType {
        private static final long serialVersionUID = 1;

        public SizeT() {
            this(0);
        }

        SizeT(long value) {
            super(Native.SIZE_T_SIZE, value, true);
        }
    }

    /** A string of the library's as Java's; frees it. */
    static String take(Pointer string) {
        try {
            return string.getString(0, "UTF-8");
        } finally {
            C.trophy_string_free(string);
        }
    }

    String HALF_A_PAIR = "holds half of a surrogate pair, which is no text";

    /** Text for C, which would end at a U+0000, and which JNA would give a question mark for what is no Unicode. */
    static String text(String name, String value) {
        if (value != null && value.indexOf('\0') >= 0) {
            throw TrophyException.invalid(name + ": must not hold U+0000");
        }
        if (value != null && hasHalfAPair(value)) {
            throw TrophyException.invalid(name + ": " + HALF_A_PAIR);
        }
        return value;
    }

    static boolean hasHalfAPair(CharSequence text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (Character.isHighSurrogate(c) && i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))) {
                i++;
            } else if (Character.isSurrogate(c)) {
                return true;
            }
        }
        return false;
    }

    /** A C function of which the last parameter is out_json. */
    interface Call {
        int with(PointerByReference outJson);
    }

    /** The reply; throws the error. */
    static Json call(Call call) {
        PointerByReference out = new PointerByReference();
        int status = call.with(out);
        String json = out.getValue() == null ? "null" : take(out.getValue());
        if (status != OK) {
            throw new TrophyException(status, json);
        }
        return new Json(json);
    }

    /** Who waits for a callback. One C callback serves all, so that none can be collected while C may call it. */
    final class Waiting {
        interface Listener {
            void hear(int status, String json);
        }

        /** {@code due}: where it waits for dispatch(); null: it runs inside C's callback. */
        private record Entry(Listener listener, boolean isOnce, Queue<Runnable> due) {}

        private static final Map<Long, Entry> ENTRIES = new ConcurrentHashMap<>();
        private static final AtomicLong LAST_ID = new AtomicLong();
        private static final AtomicInteger RUNNING = new AtomicInteger();
        private static final ThreadLocal<Boolean> INSIDE = ThreadLocal.withInitial(() -> false);
        static final Outcome CALLBACK = Waiting::hear;

        static {
            // Daemon threads: the library's threads must not keep the virtual machine from ending. They stay attached,
            // since attaching for each callback costs more than the callback.
            Native.setCallbackThreadInitializer(CALLBACK, new CallbackThreadInitializer(true, false, "trophy"));
        }

        private Waiting() {}

        static long newId() {
            return LAST_ID.incrementAndGet();
        }

        static void put(long id, boolean isOnce, Queue<Runnable> due, Listener listener) {
            ENTRIES.put(id, new Entry(listener, isOnce, due));
        }

        /** False if it had been called, or removed. */
        static boolean remove(long id) {
            return ENTRIES.remove(id) != null;
        }

        static boolean isInside() {
            return INSIDE.get();
        }

        /** Whether callbacks of calls may still come, or run. */
        static boolean isBusy() {
            return RUNNING.get() > 0 || ENTRIES.values().stream().anyMatch(Entry::isOnce);
        }

        private static void hear(int status, Pointer json, Pointer userData) {
            RUNNING.incrementAndGet();
            boolean wasInside = INSIDE.get();
            INSIDE.set(true);
            guard(() -> {
                long id = Pointer.nativeValue(userData);
                Entry entry = ENTRIES.get(id);
                if (entry == null || entry.isOnce && ENTRIES.remove(id) == null) {
                    return;
                }
                String text = json.getString(0, "UTF-8");
                if (entry.due == null) {
                    entry.listener.hear(status, text);
                } else {
                    entry.due.add(() -> entry.listener.hear(status, text));
                }
            });
            INSIDE.set(wasInside);
            RUNNING.decrementAndGet();
        }

        /** What is thrown goes to whom Java's own threads tell: nothing may cross C, and no callback hinder the next. */
        static void guard(Runnable callback) {
            try {
                callback.run();
            } catch (Throwable thrown) {
                Thread thread = Thread.currentThread();
                thread.getUncaughtExceptionHandler().uncaughtException(thread, thrown);
            }
        }
    }
}
