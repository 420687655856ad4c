<?php

// libtrophy for PHP 8.1 and later, by its FFI extension.
//
// PHP cannot be called from a thread that is not its own, so the client is always in dispatch mode: callbacks run
// inside dispatch() and close(), on the thread that calls them, and after C has returned: they may do anything.

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

/** What was left when a client was closed. */
final class Ending
{
    public function __construct(
        /** Events still in the queue. */
        public readonly int $undelivered = 0,
        /** Calls that had to be cancelled. */
        public readonly int $cancelled = 0,
    ) {
    }
}

/** Several callbacks of one dispatch() or close() threw. One alone comes out as it is. */
final class CallbackException extends \RuntimeException
{
    /** @param non-empty-list<\Throwable> $thrown */
    public function __construct(public readonly array $thrown)
    {
        $messages = array_map(fn(\Throwable $each): string => $each::class . ': ' . $each->getMessage(), $thrown);
        parent::__construct(count($thrown) . ' callbacks threw: ' . implode('; ', $messages), 0, $thrown[0]);
    }
}

/** Who waits for a callback. */
final class Waiting
{
    /** @var ?array{int, string} the status and JSON that a call which blocks is waiting for */
    public ?array $outcome = null;

    public function __construct(
        /** null for a call that blocks */
        public readonly ?\Closure $callback,
        /** of its client */
        public readonly Shared $shared,
        public readonly bool $lasts,
    ) {
    }
}

/** What the handles of a client have in common. */
final class Shared
{
    public ?int $delivery = null;
    public bool $isClosed = false;
    /** @var list<array{Waiting, int, string}> callbacks that came from C, and wait to run where it has returned */
    public array $due = [];
    /** @var array<int, Waiting> by user_data */
    public array $waiting = [];

    public function __destruct()
    {
        array_map(Library::get()->forget(...), array_keys($this->waiting));
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
    public const CANCELLED = 3;
    public const TIMEOUT = 11;
    public const INVALID_RESPONSE = 13;
    /** How long a wait in C is deaf to signals. */
    public const SLICE_MS = 100;

    private static ?self $instance = null;

    /** The C callback. PHP keeps each closure that became one until the process ends, so there is one for all. */
    public readonly CData $callbacks;
    private int $lastId = 0;
    /**
     * @var array<int, \WeakReference<Waiting>> by user_data. The clients hold theirs in Shared: a callback that holds
     * its client does not keep both for ever.
     */
    private array $waiting = [];

    private function __construct(public readonly FFI $c)
    {
        $this->callbacks = $c->new('struct { trophy_callback run; }');
        // It runs inside C, which neither an exception nor an exit may cross: it only takes notes.
        $this->callbacks->run = function (int $status, mixed $json, int $id): void {
            $waiting = ($this->waiting[$id] ?? null)?->get();
            if ($waiting === null) {
                return;
            }
            if (!$waiting->lasts) {
                $this->forget($id);
            }
            $text = is_string($json) ? $json : FFI::string($json);
            if ($waiting->callback === null) {
                $waiting->outcome = [$status, $text];
            } else {
                $waiting->shared->due[] = [$waiting, $status, $text];
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

    public function remember(Waiting $waiting): int
    {
        $this->waiting[++$this->lastId] = \WeakReference::create($waiting);
        $waiting->shared->waiting[$this->lastId] = $waiting;
        return $this->lastId;
    }

    public function forget(int $id): void
    {
        $waiting = ($this->waiting[$id] ?? null)?->get();
        if ($waiting !== null) {
            unset($waiting->shared->waiting[$id]);
        }
        unset($this->waiting[$id]);
    }

    /** Calls what may call back: no handler of a signal may run under C, either. It runs afterwards. */
    public function dispatching(callable $call): mixed
    {
        $isAsync = \function_exists('pcntl_async_signals') && pcntl_async_signals(false);
        try {
            return $call();
        } finally {
            if ($isAsync) {
                pcntl_async_signals(true);
            }
        }
    }

    /** Between two waits in C: runs the handlers of the signals that came meanwhile, which may throw or exit. */
    public static function hearSignals(): void
    {
        if (\function_exists('pcntl_signal_dispatch')) {
            pcntl_signal_dispatch();
        }
    }

    /** Runs the callbacks that are due, whatever they throw. How many. */
    public static function runDue(Shared $shared): int
    {
        $thrown = [];
        $count = 0;
        // Those that come meanwhile are for the next time. An exit leaves the rest.
        for ($left = count($shared->due); $left > 0 && $shared->due !== []; $left--) {
            [$waiting, $status, $json] = array_shift($shared->due);
            $count++;
            try {
                ($waiting->callback)(...self::outcome($status, $json, $waiting->lasts));
            } catch (\Throwable $problem) {
                $thrown[] = $problem;
            }
        }
        if ($thrown !== []) {
            throw count($thrown) === 1 ? $thrown[0] : new CallbackException($thrown);
        }
        return $count;
    }

    /** @return array{mixed, ?TrophyException} what a callback is given: a reply or an error, a delivery always */
    private static function outcome(int $status, string $json, bool $isDelivery): array
    {
        try {
            $error = $status === self::OK ? null : self::failure($status, $json);
            return [$error === null || $isDelivery ? self::decode($json) : null, $error];
        } catch (TrophyException $unreadable) {
            return [$isDelivery ? [] : null, $unreadable];
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
        $value = json_decode($json, true, 65536);
        if (json_last_error() === JSON_ERROR_UTF16) {
            // Half of a surrogate pair, which JSON may have and PHP has not.
            $json = preg_replace_callback(
                '/\\\\(?:ud[89ab]..\\\\ud[c-f]..|u(d[89a-f]..)|.)/i',
                fn(array $escape): string => isset($escape[1]) ? '\ufffd' : $escape[0],
                $json,
            );
            $value = json_decode($json, true, 65536);
        }
        if (json_last_error() !== JSON_ERROR_NONE) {
            $message = 'the reply cannot be read in PHP: ' . json_last_error_msg();
            throw new TrophyException($message, 'invalid_response', self::INVALID_RESPONSE);
        }
        return $value;
    }

    /** Text for C, which would end at a U+0000. What is no UTF-8 the library refuses. */
    public static function text(string $name, ?string $text): ?string
    {
        if ($text !== null && str_contains($text, "\0")) {
            throw self::invalid("$name: must not hold U+0000");
        }
        if ($text !== null && preg_match('//u', $text) !== 1) {
            throw self::invalid("$name: is no valid UTF-8");
        }
        return $text;
    }

    /** A value as JSON text; null stays null, which is NULL. An empty array is an object: a list is never empty here. */
    public static function encode(string $name, ?array $value): ?string
    {
        if ($value === null) {
            return null;
        }
        try {
            return json_encode(self::objects($name, $value), JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
        } catch (\JsonException $problem) {
            throw self::invalid((self::fault($name, $value, 0) ?? $name) . ": {$problem->getMessage()}", $problem);
        }
    }

    /** Members that are objects, whatever they hold: PHP's empty array is JSON's, too. */
    private const OBJECTS = ['attributes', 'options', 'queue', 'additional_headers', 'additional_query_parameters', 'additional_body_parameters'];

    private static function objects(string $path, array $value, int $depth = 0): array|\stdClass
    {
        // A copy: what is a reference stays the caller's.
        $copy = [];
        foreach ($value as $name => $member) {
            if (self::isEmptyInJson($member)) {
                throw self::invalid("{$path}[$name]: JSON has no value for a " . get_debug_type($member));
            }
            $isObject = in_array($name, self::OBJECTS, true);
            $isNested = is_array($member) && $depth < 5 && ($member !== [] || $isObject);
            $copy[$name] = $isNested ? self::objects("{$path}[$name]", $member, $depth + 1) : $member;
        }
        return $copy === [] ? new \stdClass() : $copy;
    }

    /** Whether json_encode() makes {} of it whatever it holds: a closure, a generator, a collection that it cannot see into. */
    private static function isEmptyInJson(mixed $value): bool
    {
        $isSeen = $value instanceof \JsonSerializable || $value instanceof \ArrayObject || $value instanceof \ArrayIterator;
        return $value instanceof \Closure || $value instanceof \Traversable && !$isSeen;
    }

    /** Where in a value something is that JSON cannot hold. */
    private static function fault(string $path, mixed $value, int $depth): ?string
    {
        if ($depth > 100 || is_string($value) && preg_match('//u', $value) !== 1 || is_float($value) && !is_finite($value)) {
            return $depth > 100 ? strstr("$path\u{5b}", '[', true) : $path;
        }
        foreach (is_array($value) ? $value : [] as $key => $item) {
            if (is_string($key) && preg_match('//u', $key) !== 1) {
                return $path;
            }
            $found = self::fault("{$path}[$key]", $item, $depth + 1);
            if ($found !== null) {
                return $found;
            }
        }
        return null;
    }

    public static function failure(int $status, string $json): TrophyException
    {
        $error = self::decode($json)['error'] ?? [];
        return new TrophyException(
            $error['message'] ?? 'no more is known',
            $error['code'] ?? self::get()->c->trophy_status_name($status),
            $status,
            self::int($error['httpStatus'] ?? null),
            self::int($error['retryAfterMs'] ?? null),
            self::int($error['attempts'] ?? null),
            $error['body'] ?? null,
        );
    }

    /** A number that no int holds comes as a float. */
    private static function int(int|float|null $number): ?int
    {
        return is_float($number) ? (int) min($number, PHP_INT_MAX - 1023) : $number;
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
    private readonly Shared $shared;
    private bool $isTenant = false;

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
        $this->shared = new Shared();
        $this->adopt('trophy_client_new', Library::text('apiKey', $apiKey), Library::encode('options', ['callbacks' => 'dispatch'] + $options));
    }

    private function adopt(string $function, mixed ...$arguments): void
    {
        $handle = $this->library->c->new('trophy_client *');
        $this->library->call($function, ...[...$arguments, FFI::addr($handle)]);
        $this->handle = $handle;
    }

    /** A second handle on the same client, whose calls are for a tenant. Its close() lets go of it only. */
    public function forTenant(string $tenantId): self
    {
        $tenant = (new \ReflectionClass(self::class))->newInstanceWithoutConstructor();
        $tenant->library = $this->library;
        $tenant->shared = $this->shared;
        $tenant->isTenant = true;
        $tenant->adopt('trophy_client_for_tenant', $this->handle(), Library::text('tenantId', $tenantId));
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
        return [
            Library::text('key', $key), Library::encode('user', $user), $value, Library::encode('attributes', $attributes),
            Library::text('idempotencyKey', $idempotencyKey), Library::encode('options', $options),
        ];
    }

    /** Sends an event and waits for its reply. `$user` is an id, or an array with one. */
    public function event(string $key, string|array $user, float $value, ?array $attributes = null, ?string $idempotencyKey = null, ?array $options = null): array
    {
        return $this->await('trophy_metrics_event_async', ...$this->eventArguments($key, $user, $value, $attributes, $idempotencyKey, $options));
    }

    /** Puts an event into the queue, which delivers it. Gives its idempotency key. */
    public function enqueue(string $key, string|array $user, float $value, ?array $attributes = null, ?string $idempotencyKey = null, ?array $options = null): string
    {
        $arguments = $this->eventArguments($key, $user, $value, $attributes, $idempotencyKey, $options);
        return $this->library->call('trophy_metrics_event_enqueue', $this->handle(), ...$arguments)['idempotencyKey'];
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
        return $this->await('trophy_call_async', Library::text('operation', $operation), Library::encode('args', $args));
    }

    /**
     * Calls any operation; the callback runs once, inside dispatch().
     *
     * @param callable(mixed, ?TrophyException): void $callback
     * @return int for cancel()
     */
    public function callAsync(callable $callback, string $operation, ?array $args = null): int
    {
        return $this->begin($callback, 'trophy_call_async', Library::text('operation', $operation), Library::encode('args', $args));
    }

    private function begin(callable $callback, string $function, mixed ...$arguments): int
    {
        return $this->start(new Waiting($callback(...), $this->shared, false), $function, ...$arguments);
    }

    private function start(Waiting $waiting, string $function, mixed ...$arguments): int
    {
        $id = $this->library->remember($waiting);
        $this->send($id, $function, ...$arguments);
        return $id;
    }

    private function send(int $id, string $function, mixed ...$arguments): void
    {
        try {
            $this->library->call($function, $this->handle(), ...[...$arguments, $this->library->callbacks->run, $id]);
        } catch (TrophyException $refused) {
            $this->library->forget($id);
            throw $refused;
        }
    }

    /** A call that blocks: an asynchronous one, which what the handler of a signal throws cancels. */
    private function await(string $function, mixed ...$arguments): mixed
    {
        $waiting = new Waiting(null, $this->shared, false);
        $id = $this->library->remember($waiting);
        try {
            // What the handler throws may come as soon as the call has begun.
            $this->send($id, $function, ...$arguments);
            while ($waiting->outcome === null) {
                // The callbacks of others wait for their dispatch().
                $this->dispatchInC(Library::SLICE_MS);
                Library::hearSignals();
            }
        } finally {
            if ($waiting->outcome === null) {
                $this->cancel($id);
                $this->library->forget($id);
            }
        }
        [$status, $json] = $waiting->outcome;
        return $status === Library::OK ? Library::decode($json) : throw Library::failure($status, $json);
    }

    private function dispatchInC(int $timeoutMs): void
    {
        $handle = $this->handle();
        $this->library->dispatching(fn() => $this->library->c->trophy_client_dispatch($handle, $timeoutMs));
    }

    /** Waits in pieces of a time, negative for ever, until the function gives true. */
    private static function slices(int $timeoutMs, callable $isDone): void
    {
        $until = hrtime(true) + $timeoutMs * 1e6;
        do {
            $left = $timeoutMs < 0 ? Library::SLICE_MS : max(0, (int) ceil(($until - hrtime(true)) / 1e6));
            if ($isDone(min($left, Library::SLICE_MS))) {
                return;
            }
            Library::hearSignals();
        } while ($left > 0);
    }

    /** Ends an asynchronous call: its callback runs once, with code "cancelled" or with the reply. How many it ended. */
    public function cancel(int $id): int
    {
        return $this->handle === null ? 0 : $this->library->c->trophy_client_cancel($this->handle, $id);
    }

    /**
     * Runs the callbacks that are ready; waits up to `$timeoutMs` for the first, negative for ever. How many ran. What
     * one throws comes out here, when all have run; of several, as a CallbackException.
     */
    public function dispatch(int $timeoutMs = 0): int
    {
        self::slices($timeoutMs, function (int $sliceMs): bool {
            $this->dispatchInC($this->shared->due === [] ? $sliceMs : 0);
            return $this->shared->due !== [] || $this->shared->isClosed;
        });
        return Library::runDue($this->shared);
    }

    /**
     * Sets who hears how each queued event ended, inside dispatch(). null: nobody.
     *
     * @param ?callable(array, ?TrophyException): void $callback
     */
    public function onDelivery(?callable $callback): void
    {
        $before = $this->shared->delivery;
        $id = $callback === null ? null : $this->library->remember(new Waiting($callback(...), $this->shared, true));
        $this->library->c->trophy_client_on_delivery($this->handle(), $id === null ? null : $this->library->callbacks->run, $id ?? 0);
        $this->shared->delivery = $id;
        if ($before !== null) {
            $this->library->forget($before);
        }
    }

    /** Waits until the queue is delivered, or the time has passed, negative for ever. How many events are undelivered. */
    public function flush(int $timeoutMs = -1): int
    {
        $undelivered = 0;
        self::slices($timeoutMs, function (int $sliceMs) use (&$undelivered): bool {
            $undelivered = $this->flushInC($sliceMs);
            return $undelivered === 0;
        });
        return $undelivered;
    }

    private function flushInC(int $timeoutMs): int
    {
        [$status, $json] = $this->library->callRaw('trophy_client_flush', $this->handle(), $timeoutMs);
        if ($status === Library::CANCELLED) {
            throw new TrophyException('flush: the client was closed meanwhile', 'cancelled', $status);
        }
        if ($status !== Library::OK && $status !== Library::TIMEOUT) {
            throw Library::failure($status, $json);
        }
        return Library::decode($json)['undelivered'];
    }

    /** @return array<string, mixed> what the client has done and has to do */
    public function stats(): array
    {
        return $this->library->call('trophy_client_stats', $this->handle());
    }

    /** Changes the API key, after it was rotated. */
    public function setApiKey(string $apiKey): void
    {
        $this->library->call('trophy_client_set_api_key', $this->handle(), Library::text('apiKey', $apiKey));
    }

    /**
     * Ends the client: delivers what is queued and waits for calls, for up to `$timeoutMs`, negative for ever, cancels
     * those that are left, runs the callbacks that are left, frees this handle. Of a tenant's handle it only lets go.
     * Again is fine. What the handler of a signal throws closes at once.
     */
    public function close(int $timeoutMs = 2000): Ending
    {
        if ($this->handle === null || $this->isTenant) {
            $this->free();
            if (!$this->isTenant) {
                // What a close that was interrupted has left.
                Library::runDue($this->shared);
            }
            return new Ending();
        }
        $left = ['undelivered' => 0, 'cancelled' => 0];
        try {
            self::slices($timeoutMs, function (int $sliceMs): bool {
                $isEmpty = $this->flushInC($sliceMs) === 0;
                ['callsUnderWay' => $underWay, 'callsWaiting' => $waiting] = $this->stats();
                $isIdle = $underWay + $waiting === 0;
                $this->dispatchInC($isEmpty && !$isIdle ? $sliceMs : 0);
                return $isEmpty && $isIdle;
            });
        } catch (TrophyException $error) {
            // Closed meanwhile by the handler of a signal?
            if ($this->handle !== null) {
                throw $error;
            }
        } finally {
            $handle = $this->handle;
            if ($handle !== null) {
                [$status, $json] = $this->library->dispatching(
                    fn() => $this->library->callRaw('trophy_client_close', $handle, 0));
                $left = Library::decode($json);
                $this->shared->isClosed = true;
                $this->free();
                if ($this->shared->delivery !== null) {
                    $this->library->forget($this->shared->delivery);
                }
            }
        }
        Library::runDue($this->shared);
        return new Ending($left['undelivered'], $left['cancelled']);
    }

    private function free(): void
    {
        [$handle, $this->handle] = [$this->handle, null];
        if ($handle !== null) {
            $this->library->dispatching(fn() => $this->library->c->trophy_client_free($handle));
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
    return Library::get()->call(
        'trophy_webhook_verify', $body, strlen($body), Library::text('signature', $signature), Library::text('secret', $secret));
}

/** The version of the library that runs. */
function version(): string
{
    return Library::get()->c->trophy_version();
}
