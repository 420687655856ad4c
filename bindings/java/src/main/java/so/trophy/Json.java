// JSON text with readers, and JSON made from Java's maps and lists: the language has none of its own.

package so.trophy;

import com.sun.jna.Pointer;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalDouble;

/**
 * A reply of the service: its JSON text, and readers by JSON Pointer ({@code /currentStreak/length}).
 *
 * <p>For more than a few values, give {@link #text()} to the JSON library of your choice.
 */
public record Json(String text) {
    public Json {
        Objects.requireNonNull(text);
    }

    /** The number there; empty if there is none. */
    public OptionalDouble number(String pointer) {
        double value = number(pointer, Double.NaN);
        return Double.isNaN(value) ? OptionalDouble.empty() : OptionalDouble.of(value);
    }

    /** The number there, or {@code fallback}. */
    public double number(String pointer, double fallback) {
        return Library.C.trophy_json_number(text, Library.text("pointer", pointer), fallback);
    }

    /** The string there, unescaped; any other value as its JSON text; null if there is none. */
    public String string(String pointer) {
        Pointer value = Library.C.trophy_json_string(text, Library.text("pointer", pointer));
        return value == null ? null : Library.take(value);
    }

    /** The value there as JSON, to read on; null if there is none, or if it is a string. */
    public Json at(String pointer) {
        String value = string(pointer);
        return value == null || length(pointer) < 0 && number(pointer).isEmpty() ? null : new Json(value);
    }

    /** True if the value there is {@code true}. */
    public boolean isTrue(String pointer) {
        return "true".equals(string(pointer));
    }

    /** How many items or members the array or object there has; -1 if there is none. */
    public long length(String pointer) {
        return Library.C.trophy_json_length(text, Library.text("pointer", pointer));
    }

    @Override
    public String toString() {
        return text;
    }

    /**
     * Writes null, booleans, numbers, strings, {@code Map}s, {@code Iterable}s and {@code Json} as JSON.
     *
     * @throws IllegalArgumentException for anything else, numbers JSON does not have, and what is nested too deeply
     */
    public static String write(Object value) {
        return write("value", value);
    }

    /** {@code path}: what a message calls the value; "" if its members have names enough. */
    static String write(String path, Object value) {
        StringBuilder out = new StringBuilder();
        write(path, value, 0, out);
        return out.toString();
    }

    private static void write(String path, Object value, int depth, StringBuilder out) {
        if (depth > 100) {
            throw new IllegalArgumentException(path.replaceAll("\\[.*", "") + ": nested too deeply, or within itself");
        }
        if (value == null || value instanceof Boolean || value instanceof Json) {
            out.append(value);
        } else if (value instanceof Number number) {
            if (!Double.isFinite(number.doubleValue())) {
                throw new IllegalArgumentException(path + ": JSON has no number for " + number);
            }
            out.append(number);
        } else if (value instanceof CharSequence text) {
            quote(path, text, out);
        } else if (value instanceof Map<?, ?> map) {
            char before = '{';
            for (Map.Entry<?, ?> member : map.entrySet()) {
                String name = String.valueOf(member.getKey());
                String within = path.isEmpty() ? name : path + "[\"" + name + "\"]";
                out.append(before);
                quote(within, name, out);
                out.append(':');
                write(within, member.getValue(), depth + 1, out);
                before = ',';
            }
            out.append(before == '{' ? "{}" : "}");
        } else if (value instanceof Iterable<?> items) {
            char before = '[';
            int index = 0;
            for (Object item : items) {
                out.append(before);
                write(path + "[" + index++ + "]", item, depth + 1, out);
                before = ',';
            }
            out.append(before == '[' ? "[]" : "]");
        } else {
            throw new IllegalArgumentException(path + ": JSON has no value for a " + value.getClass().getName());
        }
    }

    private static void quote(String path, CharSequence text, StringBuilder out) {
        if (Library.hasHalfAPair(text)) {
            throw new IllegalArgumentException(path + ": " + Library.HALF_A_PAIR);
        }
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }
}
