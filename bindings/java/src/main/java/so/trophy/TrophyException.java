// What a call can fail with.

package so.trophy;

/** What went wrong. The message is for people: it names the parameter and says what to do. */
public final class TrophyException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int status;
    private final String code;
    private final int httpStatus;
    private final long retryAfterMs;
    private final int attempts;
    private final String body;

    TrophyException(int status, String errorJson) {
        this(status, new Json(errorJson));
    }

    private TrophyException(int status, Json json) {
        super(json.string("/error/message"));
        this.status = status;
        String told = json.string("/error/code");
        this.code = told != null ? told : Library.C.trophy_status_name(status);
        this.httpStatus = (int) json.number("/error/httpStatus", 0);
        this.retryAfterMs = (long) json.number("/error/retryAfterMs", -1);
        this.attempts = (int) json.number("/error/attempts", 0);
        this.body = json.string("/error/body");
    }

    static TrophyException of(int status, String code, String message) {
        return new TrophyException(status, "{\"error\":" + Json.write(java.util.Map.of("code", code, "message", message)) + "}");
    }

    static TrophyException invalid(String message) {
        // It may name what is no text itself.
        return of(Library.INVALID_ARGUMENT, "invalid_argument", message.replaceAll("\\p{Cs}", "?"));
    }

    /** The number of the status, as in trophy.h. */
    public int status() {
        return status;
    }

    /** The name of the status: "rate_limited", say. */
    public String code() {
        return code;
    }

    /** What the service answered with; 0 if it did not. */
    public int httpStatus() {
        return httpStatus;
    }

    /** How long the service asks to wait; -1 if it does not. */
    public long retryAfterMs() {
        return retryAfterMs;
    }

    /** How often it was tried; 0 if not at all. */
    public int attempts() {
        return attempts;
    }

    /** What the service sent, as JSON text; null if nothing. */
    public String body() {
        return body;
    }
}
