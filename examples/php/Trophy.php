<?php

// libtrophy for PHP 8.1 and later, by its FFI extension.
//
// PHP cannot be called from a thread that is not its own, so the client is always in dispatch mode: callbacks run
// inside dispatch() and close(), on the thread that calls them.

declare(strict_types=1);

namespace Trophy;

use FFI;
use FFI\CData;

/** What went wrong. getMessage() is for people: it names the parameter and says what to do. */
final class TrophyException extends \RuntimeException
{
    public function __construct(
        string $message,
        /** "rate_limited", say: the names are those of trophy.h's statuses. */
        public readonly string $errorCode,
        public readonly int $status,
        public readonly ?int $httpStatus = null,
        public readonly ?int $retryAfterMs = null,
        public readonly ?int $attempts = null,
        /** What the service sent, decoded. */
        public readonly mixed $body = null,
        ?\Throwable $previous = null,
    ) {
        parent::__construct($message, $status, $previous);
    }
}

/** The C library, and the one callback through which all of PHP's are reached. */
final class Library
{
    // user_data is a number here: it is never a pointer, so nothing can dangle.
    private const HEADER = <<<'C'
        typedef struct trophy_client trophy_client;
        typedef void (*trophy_callback)(int32_t status, const char *json, uintptr_t user_data);
        const char *trophy_version(void);
        const char *trophy_status_name(int32_t status);
        void trophy_string_free(char *string);
        int32_t trophy_client_new(const char *api_key, const char *options_json, trophy_client **out_client,
            char **out_json);
        int32_t trophy_client_for_tenant(const trophy_client *client, const char *tenant_id,
            trophy_client **out_client, char **out_json);
        size_t trophy_client_dispatch(const trophy_client *client, int64_t timeout_ms);
        size_t trophy_client_cancel(const trophy_client *client, uintptr_t user_data);
        int32_t trophy_client_stats(const trophy_client *client, char **out_json);
        int32_t trophy_client_close(const trophy_client *client, int64_t timeout_ms, char **out_json);
        void trophy_client_free(trophy_client *client);
        int32_t trophy_client_set_api_key(const trophy_client *client, const char *api_key, char **out_json);
        int32_t trophy_metrics_event(const trophy_client *client, const char *key, const char *user_json, double value,
            const char *attributes_json, const char *idempotency_key, const char *options_json, char **out_json);
        int32_t trophy_metrics_event_async(const trophy_client *client, const char *key, const char *user_json,
            double value, const char *attributes_json, const char *idempotency_key, const char *options_json,
            trophy_callback callback, uintptr_t user_data, char **out_json);
        int32_t trophy_metrics_event_enqueue(const trophy_client *client, const char *key, const char *user_json,
            double value, const char *attributes_json, const char *idempotency_key, const char *options_json,
            char **out_json);
        int32_t trophy_client_flush(const trophy_client *client, int64_t timeout_ms, char **out_json);
        void trophy_client_on_delivery(const trophy_client *client, trophy_callback callback, uintptr_t user_data);
        int32_t trophy_call(const trophy_client *client, const char *operation, const char *args_json,
            char **out_json);
        int32_t trophy_call_async(const trophy_client *client, const char *operation, const char *args_json,
            trophy_callback callback, uintptr_t user_data, char **out_json);
        int32_t trophy_webhook_verify(const char *body, size_t body_length, const char *signature,
            const char *secret, char **out_json);
        C;

    public const OK = 0;
    public const INVALID_ARGUMENT = 1;
    public const CLOSED = 2;
    public const TIMEOUT = 11;

    private static ?self $instance = null;

    /** The C callback. PHP keeps each closure that became one until the process ends, so there is one for all. */
    public readonly CData $callbacks;
    private int $lastId = 0;
    /** @var array<int, array{callable, bool}> by user_data: who is called, and whether more than once */
    private array $waiting = [];
    /** The first exception of a callback: it may not cross C, so dispatch() throws it afterwards. */
    private ?\Throwable $thrown = null;

    private function __construct(public readonly FFI $c)
    {
        $this->callbacks = $c->new('struct { trophy_callback run; }');
        $this->callbacks->run = function (int $status, mixed $json, int $id): void {
            try {
                $this->run($status, is_string($json) ? $json : FFI::string($json), $id);
            } catch (\Throwable $thrown) {
                $this->thrown ??= $thrown;
            }
        };
    }

    public static function get(): self
    {
        return self::$instance ??= new self(FFI::cdef(self::HEADER, getenv('TROPHY_LIBRARY') ?: match (PHP_OS_FAMILY) {
            'Darwin' => 'libtrophy.1.dylib',
            'Windows' => 'trophy.dll',
            default => 'libtrophy.so.1',
        }));
    }

    public function remember(callable $callback, bool $lasts = false): int
    {
        $this->waiting[++$this->lastId] = [$callback, $lasts];
        return $this->lastId;
    }

    public function forget(int $id): void
    {
        unset($this->waiting[$id]);
    }

    private function run(int $status, string $json, int $id): void
    {
        [$callback, $lasts] = $this->waiting[$id] ?? [null, false];
        if ($callback === null) {
            return;
        }
        if (!$lasts) {
            $this->forget($id);
        }
        $error = $status === self::OK ? null : self::failure($status, $json);
        $callback($error === null || $lasts ? self::decode($json) : null, $error);
    }

    public function throwWhatCallbacksThrew(): void
    {
        [$thrown, $this->thrown] = [$this->thrown, null];
        if ($thrown !== null) {
            throw $thrown;
        }
    }

    /** Calls a C function whose last parameter is out_json; frees that, and gives the reply or throws the error. */
    public function call(string $function, mixed ...$arguments): mixed
    {
        [$status, $json] = $this->callRaw($function, ...$arguments);
        if ($status !== self::OK) {
            throw self::failure($status, $json);
        }
        return self::decode($json);
    }

    /** @return array{int, string} the status, and the text of out_json */
    public function callRaw(string $function, mixed ...$arguments): array
    {
        foreach ($arguments as $argument) {
            if (is_string($argument) && str_contains($argument, "\0") && $function !== 'trophy_webhook_verify') {
                throw self::invalid('an argument holds the character U+0000, which no C string can');
            }
        }
        $out = $this->c->new('char *');
        $status = $this->c->$function(...[...$arguments, FFI::addr($out)]);
        try {
            return [$status, FFI::isNull($out) ? 'null' : FFI::string($out)];
        } finally {
            $this->c->trophy_string_free($out);
        }
    }

    public static function decode(string $json): mixed
    {
        return json_decode($json, true, 512, JSON_THROW_ON_ERROR);
    }

    /** A value as JSON text; null stays null, which is NULL. An empty array is an object: a list is never empty here. */
    public static function encode(?array $value): ?string
    {
        if ($value === null) {
            return null;
        }
        try {
            return json_encode($value === [] ? new \stdClass() : $value, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
        } catch (\JsonException $problem) {
            throw self::invalid('an argument cannot be written as JSON: ' . $problem->getMessage(), $problem);
        }
    }

    public static function failure(int $status, string $json): TrophyException
    {
        $error = self::decode($json)['error'] ?? [];
        return new TrophyException(
            $error['message'] ?? 'no more is known',
            $error['code'] ?? self::get()->c->trophy_status_name($status),
            $status,
            $error['httpStatus'] ?? null,
            $error['retryAfterMs'] ?? null,
            $error['attempts'] ?? null,
            $error['body'] ?? null,
        );
    }

    public static function invalid(string $message, ?\Throwable $previous = null): TrophyException
    {
        return new TrophyException($message, 'invalid_argument', self::INVALID_ARGUMENT, previous: $previous);
    }
}

/** A client, or a tenant's handle on one. Replies are PHP arrays; every method throws a TrophyException. */
final class Client
{
    private ?CData $handle = null;
    private readonly Library $library;
    /** @var object{delivery: ?int} what all handles of a client share */
    private object $shared;

    /**
     * @param ?string $apiKey null: the variable TROPHY_API_KEY
     * @param array<string, mixed> $options the client options of trophy.h
     */
    public function __construct(?string $apiKey = null, array $options = [])
    {
        $this->library = Library::get();
        if (($options['callbacks'] ?? 'dispatch') !== 'dispatch') {
            throw Library::invalid('options: "callbacks" can only be "dispatch" in PHP');
        }
        $this->shared = (object) ['delivery' => null];
        $this->adopt('trophy_client_new', $apiKey, Library::encode(['callbacks' => 'dispatch'] + $options));
    }

    private function adopt(string $function, mixed ...$arguments): void
    {
        $handle = $this->library->c->new('trophy_client *');
        $this->library->call($function, ...[...$arguments, FFI::addr($handle)]);
        $this->handle = $handle;
    }

    /** A second handle on the same client, whose calls are for a tenant. */
    public function forTenant(string $tenantId): self
    {
        $tenant = (new \ReflectionClass(self::class))->newInstanceWithoutConstructor();
        $tenant->library = $this->library;
        $tenant->shared = $this->shared;
        $tenant->adopt('trophy_client_for_tenant', $this->handle(), $tenantId);
        return $tenant;
    }

    private function handle(): CData
    {
        return $this->handle ?? throw new TrophyException('this client is closed: make another', 'closed', Library::CLOSED);
    }

    /** @return list<mixed> an event's parameters, as all three of its C functions take them */
    private function eventArguments(string $key, string|array $user, float $value, ?array $attributes, ?string $idempotencyKey, ?array $options): array
    {
        $user = is_string($user) ? ['id' => $user] : $user;
        return [$this->handle(), $key, Library::encode($user), $value, Library::encode($attributes), $idempotencyKey, Library::encode($options)];
    }

    /** Sends an event and waits for its reply. `$user` is an id, or an array with one. */
    public function event(string $key, string|array $user, float $value, ?array $attributes = null, ?string $idempotencyKey = null, ?array $options = null): array
    {
        return $this->library->call('trophy_metrics_event', ...$this->eventArguments($key, $user, $value, $attributes, $idempotencyKey, $options));
    }

    /** Puts an event into the queue, which delivers it. Gives its idempotency key. */
    public function enqueue(string $key, string|array $user, float $value, ?array $attributes = null, ?string $idempotencyKey = null, ?array $options = null): string
    {
        return $this->library->call('trophy_metrics_event_enqueue', ...$this->eventArguments($key, $user, $value, $attributes, $idempotencyKey, $options))['idempotencyKey'];
    }

    /**
     * Sends an event; the callback runs once, inside dispatch().
     *
     * @param callable(?array, ?TrophyException): void $callback
     * @return int for cancel()
     */
    public function eventAsync(callable $callback, string $key, string|array $user, float $value, ?array $attributes = null, ?string $idempotencyKey = null, ?array $options = null): int
    {
        return $this->begin($callback, 'trophy_metrics_event_async', ...$this->eventArguments($key, $user, $value, $attributes, $idempotencyKey, $options));
    }

    /** Calls any operation by its name: `$client->call('users_streak', ['id' => '18'])`. */
    public function call(string $operation, ?array $args = null): mixed
    {
        return $this->library->call('trophy_call', $this->handle(), $operation, Library::encode($args));
    }

    /**
     * Calls any operation; the callback runs once, inside dispatch().
     *
     * @param callable(mixed, ?TrophyException): void $callback
     * @return int for cancel()
     */
    public function callAsync(callable $callback, string $operation, ?array $args = null): int
    {
        return $this->begin($callback, 'trophy_call_async', $this->handle(), $operation, Library::encode($args));
    }

    private function begin(callable $callback, string $function, mixed ...$arguments): int
    {
        $id = $this->library->remember($callback);
        try {
            $this->library->call($function, ...[...$arguments, $this->library->callbacks->run, $id]);
        } catch (TrophyException $refused) {
            $this->library->forget($id);
            throw $refused;
        }
        return $id;
    }

    /** Ends an asynchronous call: its callback runs once, with code "cancelled" or with the reply. How many it ended. */
    public function cancel(int $id): int
    {
        return $this->handle === null ? 0 : $this->library->c->trophy_client_cancel($this->handle, $id);
    }

    /** Runs the callbacks that are ready; waits up to `$timeoutMs` for the first. How many ran. */
    public function dispatch(int $timeoutMs = 0): int
    {
        $count = $this->library->c->trophy_client_dispatch($this->handle(), $timeoutMs);
        $this->library->throwWhatCallbacksThrew();
        return $count;
    }

    /**
     * Sets who hears how each queued event ended, inside dispatch(). null: nobody.
     *
     * @param ?callable(array, ?TrophyException): void $callback
     */
    public function onDelivery(?callable $callback): void
    {
        $before = $this->shared->delivery;
        $id = $callback === null ? null : $this->library->remember($callback, true);
        $this->library->c->trophy_client_on_delivery($this->handle(), $id === null ? null : $this->library->callbacks->run, $id ?? 0);
        $this->shared->delivery = $id;
        if ($before !== null) {
            $this->library->forget($before);
        }
    }

    /** Waits until the queue is delivered; throws with code "timeout" if it was not in time. */
    public function flush(int $timeoutMs = -1): void
    {
        $this->library->call('trophy_client_flush', $this->handle(), $timeoutMs);
    }

    /** @return array<string, mixed> what the client has done and has to do */
    public function stats(): array
    {
        return $this->library->call('trophy_client_stats', $this->handle());
    }

    /** Changes the API key, after it was rotated. */
    public function setApiKey(string $apiKey): void
    {
        $this->library->call('trophy_client_set_api_key', $this->handle(), $apiKey);
    }

    /**
     * Ends the client for all its handles: delivers what is queued, for up to `$timeoutMs`, runs the callbacks that
     * are left, frees this handle. Again is fine.
     *
     * @return int how many events are undelivered
     */
    public function close(int $timeoutMs = 2000): int
    {
        if ($this->handle === null) {
            return 0;
        }
        [$status, $json] = $this->library->callRaw('trophy_client_close', $this->handle, $timeoutMs);
        // Refused inside a callback: then the handle stays.
        if ($status !== Library::OK && $status !== Library::TIMEOUT) {
            throw Library::failure($status, $json);
        }
        $this->free();
        if ($this->shared->delivery !== null) {
            $this->library->forget($this->shared->delivery);
        }
        $this->library->throwWhatCallbacksThrew();
        return Library::decode($json)['undelivered'];
    }

    private function free(): void
    {
        [$handle, $this->handle] = [$this->handle, null];
        if ($handle !== null) {
            $this->library->c->trophy_client_free($handle);
        }
    }

    public function __destruct()
    {
        $this->free();
    }

    private function __clone()
    {
    }

    /** A user's streak. `$args`: historyPeriods, options. */
    public function streak(string $userId, array $args = []): array
    {
        return $this->call('users_streak', ['id' => $userId] + $args);
    }

    /** Creates a user, or changes the one there is: email, name, tz, attributes. */
    public function identify(string $userId, array $user): array
    {
        return $this->call('users_identify', ['id' => $userId, 'body' => $user === [] ? new \stdClass() : $user]);
    }

    /** A user's achievements. `$args`: includeIncomplete, options. */
    public function achievements(string $userId, array $args = []): array
    {
        return $this->call('users_achievements', ['id' => $userId] + $args);
    }

    /** Marks an achievement as completed by a user. */
    public function completeAchievement(string $key, string|array $user): array
    {
        return $this->call('achievements_complete', ['key' => $key, 'body' => ['user' => is_string($user) ? ['id' => $user] : $user]]);
    }

    /** A leaderboard with its rankings. `$args`: offset, limit, run, userId, userAttributes, options. */
    public function leaderboard(string $key, array $args = []): array
    {
        return $this->call('leaderboards_get', ['key' => $key] + $args);
    }
}

/**
 * Checks that a webhook was signed with your secret: `verifyWebhook(file_get_contents('php://input'), ...)`.
 *
 * @return mixed the body, decoded; throws with code "invalid_signature" if it was not: answer 401
 */
function verifyWebhook(string $body, string $signature, string $secret): mixed
{
    return Library::get()->call('trophy_webhook_verify', $body, strlen($body), $signature, $secret);
}

/** The version of the library that runs. */
function version(): string
{
    return Library::get()->c->trophy_version();
}
