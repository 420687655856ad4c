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
        double value = Library.C.trophy_json_number(text, pointer, Double.NaN);
        return Double.isNaN(value) ? OptionalDouble.empty() : OptionalDouble.of(value);
    }

    /** The number there, or {@code fallback}. */
    public double number(String pointer, double fallback) {
        return Library.C.trophy_json_number(text, pointer, fallback);
    }

    /** The string there, unescaped; any other value as its JSON text; null if there is none. */
    public String string(String pointer) {
        Pointer value = Library.C.trophy_json_string(text, pointer);
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
        return Library.C.trophy_json_length(text, pointer);
    }

    @Override
    public String toString() {
        return text;
    }

    /**
     * Writes null, booleans, numbers, strings, {@code Map}s, {@code Iterable}s and {@code Json} as JSON.
     *
     * @throws IllegalArgumentException for anything else, and for numbers JSON does not have
     */
    public static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
        if (value == null || value instanceof Boolean || value instanceof Json) {
            out.append(value);
        } else if (value instanceof Number number) {
            if (!Double.isFinite(number.doubleValue())) {
                throw new IllegalArgumentException("JSON has no number for " + number);
            }
            out.append(number);
        } else if (value instanceof CharSequence text) {
            quote(text, out);
        } else if (value instanceof Map<?, ?> map) {
            char before = '{';
            for (Map.Entry<?, ?> member : map.entrySet()) {
                out.append(before);
                quote(String.valueOf(member.getKey()), out);
                out.append(':');
                write(member.getValue(), out);
                before = ',';
            }
            out.append(before == '{' ? "{}" : "}");
        } else if (value instanceof Iterable<?> items) {
            char before = '[';
            for (Object item : items) {
                out.append(before);
                write(item, out);
                before = ',';
            }
            out.append(before == '[' ? "[]" : "]");
        } else {
            throw new IllegalArgumentException("JSON has no value for a " + value.getClass().getName());
        }
    }

    private static void quote(CharSequence text, StringBuilder out) {
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
