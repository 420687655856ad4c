<?php

// The wrapper against the sandbox. Each test is a sentence; a failed one ends the run.

declare(strict_types=1);

require __DIR__ . '/Trophy.php';

use Trophy\CallbackException;
use Trophy\Client;
use Trophy\Ending;
use Trophy\TrophyException;

const KEY = 'sandbox_admin.open-sesame';
const WAIT = 120; // seconds; a condition that takes longer has failed
// What takes a second on a machine of its own takes longer on a busy one; what takes ten is a wait for something.
const SLOWNESS = 10;

$readyFile = tempnam(sys_get_temp_dir(), 'trophy');
unlink($readyFile);
$sandbox = proc_open([getenv('TROPHY_SANDBOX'), '--port', '0', '--exit-with-stdin', '--ready-file', $readyFile], [['pipe', 'r'], ['file', '/dev/null', 'w'], STDERR], $pipes);
$deadline = microtime(true) + WAIT;
while (!file_exists($readyFile)) {
    microtime(true) < $deadline || throw new Exception('the sandbox did not start');
    usleep(10_000);
}
$ready = json_decode(file_get_contents($readyFile), true);
unlink($readyFile);

function open(array $options = []): Client
{
    global $ready;
    return new Client(KEY, $options + ['base_url' => $ready['url'], 'admin_base_url' => $ready['adminUrl'], 'queue' => ['requests_per_second' => 1000]]);
}

/** A client whose host takes connections and never answers. The socket must live as long. */
function openSilent(mixed &$socket): Client
{
    $socket = stream_socket_server('tcp://127.0.0.1:0');
    return open(['base_url' => 'http://' . stream_socket_get_name($socket, false) . '/v1']);
}

function dispatchUntil(Client $client, callable $condition): void
{
    $deadline = microtime(true) + WAIT;
    while (!$condition()) {
        microtime(true) < $deadline || throw new Exception('waited too long for callbacks');
        $client->dispatch(10);
    }
}

function ask(string $path, mixed $body = null): mixed
{
    global $ready;
    $options = $body === null ? [] : [
        'method' => 'POST', 'content' => json_encode($body), 'header' => 'Content-Type: application/json',
    ];
    $url = substr($ready['url'], 0, -strlen('/v1')) . "/_sandbox$path";
    return json_decode(file_get_contents($url, context: stream_context_create(['http' => $options])) ?: 'null', true);
}

/** A program with a $client. */
function start(string $program, mixed &$pipes): mixed
{
    global $ready;
    $command = [PHP_BINARY, '-d', 'ffi.enable=1', '-d', 'display_errors=stderr', '-d', 'html_errors=0', '-r',
        'require ' . var_export(__DIR__ . '/Trophy.php', true) . ';
        $client = new Trophy\Client(null, ["queue" => ["requests_per_second" => 1000]]);' . $program];
    return proc_open($command, [['file', '/dev/null', 'r'], ['pipe', 'w'], ['pipe', 'w']], $pipes, null,
        ['TROPHY_API_KEY' => KEY, 'TROPHY_BASE_URL' => $ready['url']] + getenv());
}

/** One that prints "ending" when it begins to end; its exit code and what it says then. */
function ending(string $program): array
{
    $process = start($program, $out);
    equal(fgets($out[1]), "ending\n");
    $since = microtime(true);
    $said = stream_get_contents($out[1]) . stream_get_contents($out[2]);
    $code = proc_close($process);
    equal(microtime(true) - $since < SLOWNESS, true);
    return [$code, $said];
}

function equal(mixed $have, mixed $want): void
{
    if ($have !== $want) {
        throw new Exception('have ' . var_export($have, true) . ', want ' . var_export($want, true));
    }
}

function failing(callable $call, string $code): TrophyException
{
    try {
        $call();
    } catch (TrophyException $error) {
        equal($error->errorCode, $code);
        return $error;
    }
    throw new Exception("no error, want $code");
}

function says(TrophyException $error, string $word): void
{
    str_contains($error->getMessage(), $word) || throw new Exception("\"$word\" is not in: {$error->getMessage()}");
}

$tests = [
    // shows: counts-once
    'an_event_with_the_same_key_counts_once' => function (Client $client): void {
        $first = $client->event('words-written', 'php-once', 750, idempotencyKey: 'chapter-1');
        $again = $client->event('words-written', 'php-once', 750, idempotencyKey: 'chapter-1');
        equal([$first['total'], $first['idempotentReplayed']], [750, false]);
        equal([$again['total'], $again['idempotentReplayed']], [750, true]);
    },
    // shows: errors
    'an_unknown_user_is_an_error_with_its_code' => function (Client $client): void {
        $error = failing(fn() => $client->streak('php-nobody'), 'not_found');
        equal([$error->status, $error->httpStatus, $error->attempts], [23, 404, 1]);
        equal(is_string($error->body['error']), true);
    },
    'a_wrong_argument_is_named_and_nothing_is_sent' => function (Client $client): void {
        $before = $client->stats()['requests'];
        says(failing(fn() => $client->event('words-written', 'php-wrong', 1, ['genre' => 7]), 'invalid_argument'), 'genre');
        says(failing(fn() => $client->event('words-written', 'php-wrong', NAN), 'invalid_argument'), 'value');
        says(failing(fn() => $client->call('users_streak', ['id' => '18', 'nonsense' => 1]), 'invalid_argument'), 'nonsense');
        says(failing(fn() => $client->call('users_streak', ['id' => "\xFF"]), 'invalid_argument'), 'UTF-8');
        failing(fn() => $client->event("words\0written", 'php-wrong', 1), 'invalid_argument');
        failing(fn() => $client->callAsync(fn() => null, 'no_such_operation'), 'invalid_argument');
        equal($client->stats()['requests'], $before);
        says(failing(fn() => open(['no_such_option' => 1]), 'invalid_argument'), 'no_such_option');
        says(failing(fn() => open(['callbacks' => 'worker']), 'invalid_argument'), 'dispatch');
    },
    // shows: text, deep-values
    'text_that_is_no_unicode_is_refused_by_name' => function (Client $client): void {
        $before = $client->stats()['requests'];
        $endless = [];
        $endless['again'] = &$endless;
        foreach ([
            'key: ' => fn() => $client->event("a\xFF", '18', 1),
            'user[id]: ' => fn() => $client->event('words-written', "\xED\xA0\x80", 1),
            'user[attributes][city]: ' => fn() => $client->enqueue('words-written', ['id' => '18', 'attributes' => ['city' => "\xFF"]], 1),
            'attributes: ' => fn() => $client->event('words-written', '18', 1, ["\xFF" => 'a']),
            'idempotencyKey: ' => fn() => $client->enqueue('words-written', '18', 1, idempotencyKey: "k\xFF"),
            'idempotencyKey: must' => fn() => $client->enqueue('words-written', '18', 1, idempotencyKey: "k\0"),
            'args[id]: ' => fn() => $client->streak("\xFF"),
            'args[id]: Inf' => fn() => $client->call('users_streak', ['id' => INF]),
            'operation: ' => fn() => $client->callAsync(fn() => null, "\xFF"),
            'tenantId: ' => fn() => $client->forTenant("\xFF"),
            'apiKey: ' => fn() => $client->setApiKey("\xFF"),
            'options[user_agent]: ' => fn() => open(['user_agent' => "\xFF"]),
            'signature: ' => fn() => Trophy\verifyWebhook('', "\xFF", 'secret'),
            'args' => fn() => $client->call('users_streak', $endless),
        ] as $name => $call) {
            says(failing($call, 'invalid_argument'), $name);
        }
        equal($client->stats()['requests'], $before);
    },
    'an_empty_array_is_an_object_where_the_library_knows_one' => function (Client $client): void {
        $attributes = [];
        $user = ['id' => '18', 'attributes' => &$attributes];
        equal($client->event('words-written', $user, 1, [], null, ['additional_headers' => []])['total'], 1);
        $client->enqueue('words-written', ['id' => '18', 'attributes' => []], 1);
        equal($client->flush(), 0);
        equal($client->identify('18', ['attributes' => [], 'deviceTokens' => []])['deviceTokens'] ?? [], []);
        equal($client->call('users_get', ['id' => '18', 'options' => []])['id'], '18');
        equal(open(['queue' => [], 'additional_headers' => []])->stats()['queued'], 0);
        equal($attributes, []);
    },
    // shows: wrong-types
    'a_wrong_type_is_a_type_error_that_names_the_argument' => function (Client $client): void {
        foreach ([
            '$key' => fn() => $client->event(5, '18', 1),
            '$user' => fn() => $client->event('words-written', 18, 1),
            '$value' => fn() => $client->event('words-written', '18', 'much'),
            '$attributes' => fn() => $client->event('words-written', '18', 1, 'genre'),
            '$idempotencyKey' => fn() => $client->enqueue('words-written', '18', 1, idempotencyKey: 42),
            '$callback' => fn() => $client->callAsync('no such function', 'achievements_all'),
            '$userId' => fn() => $client->streak(null),
        ] as $name => $call) {
            try {
                $call();
                throw new Exception("no TypeError for $name");
            } catch (TypeError $error) {
                str_contains($error->getMessage(), $name) || throw $error;
            }
        }
    },
    // shows: wrong-types
    'what_json_cannot_see_into_is_refused_by_name' => function (Client $client): void {
        $before = $client->stats()['requests'];
        $plan = (fn() => yield 'plan' => 'pro')();
        foreach ([
            'user[attributes]: ' => fn() => $client->event('words-written', ['id' => '18', 'attributes' => $plan], 1),
            'attributes[genre]: ' => fn() => $client->enqueue('words-written', '18', 1, ['genre' => fn() => 'poem']),
            'args[body][user]: ' => fn() => $client->call('achievements_complete', ['key' => 'k', 'body' => ['user' => $plan]]),
        ] as $name => $call) {
            says(failing($call, 'invalid_argument'), $name);
        }
        equal($client->stats()['requests'], $before);
        // This it sees into.
        $client->event('words-written', ['id' => '18', 'attributes' => new ArrayObject(['plan' => 'pro'])], 1);
    },
    // shows: any-reply
    'no_reply_throws_anything_but_our_own_exception' => function (): void {
        $client = open(['max_retries' => 0]);
        foreach (json_decode(file_get_contents(__DIR__ . '/../replies.json'), true) as $fault) {
            ask('/faults', $fault + ['operation' => 'users_streak', 'count' => 1]);
            try {
                $client->call('users_streak', ['id' => '18']);
            } catch (TrophyException $error) {
                equal($error->errorCode !== '', true);
            }
            ask('/faults', $fault + ['operation' => 'users_streak', 'count' => 1]);
            $ended = false;
            $client->callAsync(function (mixed $reply, ?TrophyException $error) use (&$ended): void {
                $ended = true;
            }, 'users_streak', ['id' => '18']);
            dispatchUntil($client, function () use (&$ended) { return $ended; });
        }
        $client->close();
    },
    // shows: many-errors
    'of_callbacks_that_throw_in_one_dispatch_none_is_lost' => function (): void {
        $client = open();
        $client->onDelivery(function (array $delivery) use ($client): void {
            // In a callback anything may be called.
            $client->call('users_streak', ['id' => $delivery['userId']]);
            throw new DomainException($delivery['userId']);
        });
        foreach (['php-1', 'php-2', 'php-3'] as $user) {
            $client->enqueue('words-written', $user, 1);
        }
        equal($client->flush(WAIT * 1000), 0);
        // A call that blocks runs nobody's callback, and loses none: all three are due together.
        $shared = (new ReflectionProperty($client, 'shared'))->getValue($client);
        while (count($shared->due) < 3) {
            $client->call('achievements_all');
        }
        try {
            $client->dispatch();
            throw new Exception('nothing came out');
        } catch (CallbackException $all) {
            $messages = array_map(fn(Throwable $each) => $each->getMessage(), $all->thrown);
            sort($messages);
            equal($messages, ['php-1', 'php-2', 'php-3']);
        }
        equal((array) $client->close(), (array) new Ending());
    },
    // shows: two-numbers
    'close_tells_events_from_calls' => function (): void {
        $client = openSilent($socket);
        for ($user = 0; $user < 100; $user++) {
            $client->eventAsync(fn() => null, 'words-written', "php-$user", 1);
        }
        $ending = $client->close(0);
        equal([$ending->undelivered, $ending->cancelled], [0, 100]);
        $client = openSilent($socket);
        $client->enqueue('words-written', '18', 1);
        equal((array) $client->close(0), ['undelivered' => 1, 'cancelled' => 0]);
    },
    // shows: offline
    'an_event_outlives_its_client_offline' => function (): void {
        $folder = sys_get_temp_dir() . '/trophy-' . bin2hex(random_bytes(8));
        $silent = stream_socket_server('tcp://127.0.0.1:0');
        $first = open(['base_url' => 'http://' . stream_socket_get_name($silent, false) . '/v1', 'queue' => ['path' => $folder]]);
        $first->enqueue('words-written', 'php-offline', 5);
        equal($first->flush(0), 1);
        equal($first->close(0)->undelivered, 1);
        $second = open(['queue' => ['path' => $folder]]);
        equal($second->flush(WAIT * 1000), 0);
        equal($second->call('users_single_metric', ['id' => 'php-offline', 'key' => 'words-written'])['current'], 5);
        $second->close();
        array_map(unlink(...), array_filter(glob("$folder/{,.}*", GLOB_BRACE), is_file(...)));
        rmdir($folder);
    },
    'close_waits_for_calls' => function (): void {
        ask('/faults', ['fault' => 'delay', 'ms' => 150, 'count' => 1]);
        $client = open();
        $total = null;
        $client->eventAsync(function (?array $reply) use (&$total): void {
            $total = $reply['total'];
        }, 'words-written', 'php-patient', 5);
        equal((array) $client->close(-1), (array) new Ending());
        equal($total, 5);
    },
    // shows: tenant-close
    'a_tenants_close_lets_go_of_its_handle_only' => function (): void {
        $client = open();
        [$acme, $other] = [$client->forTenant('php-acme'), $client->forTenant('php-other')];
        equal((array) $acme->close(), (array) new Ending());
        failing(fn() => $acme->streak('18'), 'closed');
        equal($client->event('words-written', 'php-left', 1)['total'], 1);
        equal($other->event('words-written', 'php-left', 1)['total'], 1);
        $client->close();
        failing(fn() => $other->streak('18'), 'closed');
        equal($other->dispatch(1000), 0);
    },
    // shows: ends, exits, uncaught
    'a_process_ends_at_once_with_its_own_code' => function (): void {
        $busy = '$idle = new Trophy\Client();
            $idle->onDelivery(print_r(...));
            for ($user = 0; $user < 100; $user++) {
                $client->eventAsync(fn() => null, "words-written", "php-$user", 1);
            }
            $client->enqueue("words-written", "18", 1);
            echo "ending\n";';
        foreach ([
            ['', 0, ''],
            ['exit(7);', 7, ''],
            ['throw new Exception("mine");', 255, 'mine'],
            ['(function () { exit(6); })();', 6, ''],
            ['register_shutdown_function(function () use ($client) { $client->close(0); echo "closed\n"; }); exit(5);', 5, 'closed'],
        ] as [$end, $code, $says]) {
            ask('/faults', ['fault' => 'hang', 'operation' => 'metrics_event']);
            [$ended, $said] = ending($busy . $end);
            ask('/reset', new stdClass());
            equal([$end, $ended, $said === '', str_contains($said, $says)], [$end, $code, $says === '', true]);
        }
        foreach ([
            '$client->callAsync(fn() => exit(9), "achievements_all");',
            '$client->onDelivery(fn() => exit(9)); $client->enqueue("words-written", "18", 1);',
        ] as $callback) {
            equal(ending($callback . 'echo "ending\n"; while (true) { $client->dispatch(-1); }'), [9, '']);
            equal(ending($callback . 'echo "ending\n"; $client->close(-1);'), [9, '']);
        }
    },
    // shows: interrupt
    'signals_are_heard_and_cancel_the_call' => function (): void {
        if (!function_exists('pcntl_signal')) {
            return;
        }
        foreach (['pcntl_async_signals(true);', ''] as $async) {
            foreach ([
                '$client->event("words-written", "18", 1);',
                '$client->enqueue("words-written", "18", 1); $client->flush();',
                '$client->enqueue("words-written", "18", 1); $client->close(-1);',
                '$client->eventAsync(fn() => null, "words-written", "18", 1); $client->dispatch(-1);',
            ] as $call) {
                ask('/reset', new stdClass());
                ask('/faults', ['fault' => 'hang', 'operation' => 'metrics_event']);
                $process = start($async . 'pcntl_signal(SIGINT, fn() => throw new Exception("heard"));
                    try {
                        ' . $call . '
                    } catch (Exception $heard) {
                        echo $heard->getMessage();
                    }
                    while (' . var_export(str_contains($call, '->event('), true) . ' && $client->stats()["callsUnderWay"] > 0) {
                        $client->dispatch(1);
                    }
                    exit(5);', $out);
                while (ask('/ledger')['requests'] === []) {
                    usleep(1000);
                }
                $since = microtime(true);
                proc_terminate($process, SIGINT);
                equal(stream_get_contents($out[1]) . stream_get_contents($out[2]), 'heard');
                equal(proc_close($process), 5);
                equal(microtime(true) - $since < SLOWNESS, true);
            }
        }
        ask('/reset', new stdClass());
    },
    'a_close_that_a_signal_ends_may_be_followed_or_overtaken_by_another' => function (): void {
        if (!function_exists('pcntl_signal')) {
            return;
        }
        ask('/faults', ['fault' => 'hang', 'operation' => 'metrics_event']);
        foreach (['pcntl_async_signals(true);', ''] as $async) {
            foreach ([
                'throw new Exception();' => 'try { pcntl_alarm(1); $client->close(-1); } catch (Exception) { echo "heard, "; } $client->close();',
                'echo "heard, "; $client->close(0);' => 'pcntl_alarm(1); $client->close(-1);',
            ] as $handler => $close) {
                $process = start($async . 'pcntl_signal(SIGALRM, function () use ($client) { ' . $handler . ' });
                    $client->eventAsync(function (mixed $reply, ?Exception $error) { echo $error->errorCode; }, "words-written", "18", 1);
                    ' . $close, $out);
                equal(stream_get_contents($out[1]) . stream_get_contents($out[2]), 'heard, cancelled');
                equal(proc_close($process), 0);
            }
        }
        ask('/reset', new stdClass());
    },
    'a_forked_child_uses_the_client' => function (): void {
        if (!function_exists('pcntl_fork')) {
            return;
        }
        equal(ending('$client->event("words-written", "php-fork", 1);
            $child = pcntl_fork();
            if ($child === 0) {
                exit((int) $client->event("words-written", "php-fork", 1)["total"]);
            }
            pcntl_waitpid($child, $status);
            echo "ending\n";
            exit(pcntl_wexitstatus($status) * 10 + $client->event("words-written", "php-fork", 1)["total"]);'), [23, '']);
    },
    // shows: scripts
    'unicode_comes_back_as_it_went' => function (Client $client): void {
        $name = "Zoë 漢字 🏆 \"quoted\" \\ / \n";
        $client->identify('php-ü/漢', ['name' => $name]);
        equal($client->call('users_get', ['id' => 'php-ü/漢'])['name'], $name);
    },
    'a_hundred_asynchronous_events_each_answer_once' => function (Client $client): void {
        $answers = [];
        for ($i = 1; $i <= 100; $i++) {
            $client->eventAsync(function (?array $reply, ?TrophyException $error) use (&$answers, $i): void {
                $error === null || throw $error;
                $answers[] = $i;
            }, 'words-written', 'php-async-' . $i % 10, $i);
        }
        dispatchUntil($client, function () use (&$answers) { return count($answers) >= 100; });
        equal($client->dispatch(), 0);
        sort($answers);
        equal($answers, range(1, 100));
        equal($client->call('users_single_metric', ['id' => 'php-async-0', 'key' => 'words-written'])['current'], 550);
    },
    // shows: cancel
    'a_cancelled_call_says_so_once' => function (): void {
        $client = openSilent($socket);
        $codes = [];
        $id = $client->callAsync(function (mixed $reply, ?TrophyException $error) use (&$codes): void {
            $codes[] = $error->errorCode;
        }, 'achievements_all');
        equal($client->cancel($id), 1);
        dispatchUntil($client, function () use (&$codes) { return $codes !== []; });
        equal($client->cancel($id), 0);
        $client->close(0);
        equal($codes, ['cancelled']);
    },
    'an_exception_in_a_callback_comes_out_of_dispatch' => function (Client $client): void {
        $client->callAsync(fn() => throw new DomainException('mine'), 'achievements_all');
        try {
            dispatchUntil($client, fn() => false);
        } catch (DomainException $thrown) {
            equal($thrown->getMessage(), 'mine');
        }
        equal(count($client->call('achievements_all')) > 0, true);
    },
    // shows: queue
    'queued_events_are_delivered_and_heard_of' => function (Client $client): void {
        $heard = [];
        $client->onDelivery(function (array $delivery, ?TrophyException $error) use (&$heard): void {
            $heard[$delivery['idempotencyKey']] = $error?->errorCode ?? 'ok';
        });
        $good = $client->enqueue('words-written', 'php-queue', 5);
        $bad = $client->enqueue('no-such-metric', 'php-queue', 5);
        equal($client->flush(WAIT * 1000), 0);
        dispatchUntil($client, function () use (&$heard) { return count($heard) === 2; });
        equal($heard[$good], 'ok');
        failing(fn() => $client->event('no-such-metric', 'php-queue', 5), $heard[$bad]);
        $client->onDelivery(null);
        equal($client->call('users_single_metric', ['id' => 'php-queue', 'key' => 'words-written'])['current'], 5);
    },
    'a_tenant_has_its_own_users' => function (Client $client): void {
        $tenant = $client->forTenant('php-tenant');
        $tenant->event('words-written', 'php-lodger', 3);
        failing(fn() => $client->streak('php-lodger'), 'not_found');
        equal($tenant->streak('php-lodger')['length'], 1);
    },
    'the_common_operations_have_methods' => function (Client $client): void {
        $client->event('words-written', 'php-common', 600);
        equal($client->completeAchievement('finish-onboarding', 'php-common')['achievement']['key'], 'finish-onboarding');
        equal(count($client->achievements('php-common')) > 0, true);
        equal($client->leaderboard('all-time-words', ['limit' => 5])['key'], 'all-time-words');
        $client->setApiKey(KEY);
    },
    // shows: closed
    'a_client_is_closed_once_and_then_says_so' => function (): void {
        $client = open();
        equal([(array) $client->close(), (array) $client->close()], [(array) new Ending(), (array) new Ending()]);
        failing(fn() => $client->streak('18'), 'closed');
        failing(fn() => $client->dispatch(), 'closed');
    },
    // shows: close-inside
    'a_callback_may_close_its_client' => function (): void {
        $client = open();
        $left = null;
        $client->callAsync(function () use ($client, &$left): void {
            $left = $client->close();
        }, 'achievements_all');
        dispatchUntil($client, function () use (&$left) { return $left !== null; });
        equal((array) $left, (array) new Ending());
        failing(fn() => $client->streak('18'), 'closed');
    },
    'calls_that_wait_are_told_when_the_client_closes' => function (): void {
        $client = openSilent($socket);
        $codes = [];
        for ($i = 0; $i < 10; $i++) {
            $client->callAsync(function (mixed $reply, ?TrophyException $error) use (&$codes): void {
                $codes[] = $error->errorCode;
            }, 'achievements_all');
        }
        $client->close(0);
        equal($codes, array_fill(0, 10, 'cancelled'));
    },
    // shows: webhook
    'a_webhook_is_checked' => function (): void {
        $body = "{\"type\":\"achievement.completed\",\"name\":\"漢\\u0000\"}";
        $signature = base64_encode(hash_hmac('sha256', $body, 'secret', true));
        equal(Trophy\verifyWebhook($body, $signature, 'secret')['type'], 'achievement.completed');
        failing(fn() => Trophy\verifyWebhook($body . ' ', $signature, 'secret'), 'invalid_signature');
        equal(Trophy\verifyWebhook("a\0b", base64_encode(hash_hmac('sha256', "a\0b", 'secret', true)), 'secret'), null);
    },
    // shows: memory
    'ten_thousand_calls_leave_the_memory_flat' => function (Client $client): void {
        $kib = fn(): int => 4 * (int) explode(' ', file_get_contents('/proc/self/statm'))[1];
        $many = function () use ($client): void {
            for ($i = 0; $i < 10_000; $i++) {
                $client->stats();
                try {
                    $client->call('users_streak', ['id' => '18', 'nonsense' => 1]);
                } catch (TrophyException) {
                }
            }
        };
        $many();
        $before = $kib();
        $many();
        $grown = $kib() - $before;
        $grown < 2048 || throw new Exception("grew by $grown KiB");
    },
    // shows: freed
    'a_forgotten_client_is_freed' => function (): void {
        for ($i = 0; $i < 20; $i++) {
            $client = openSilent($socket);
            $client->callAsync(fn() => null, 'achievements_all');
        }
    },
    'callbacks_that_hold_their_client_do_not_keep_it' => function (): void {
        $client = openSilent($socket);
        $client->onDelivery(fn() => $client->stats());
        $client->callAsync(fn() => $client->stats(), 'achievements_all');
        $connection = stream_socket_accept($socket, WAIT);
        $forgotten = WeakReference::create($client);
        $client = null;
        gc_collect_cycles();
        equal($forgotten->get(), null);
        // It was freed if its connection ends.
        stream_set_timeout($connection, WAIT);
        stream_get_contents($connection);
        equal(feof($connection), true);
    },
    // shows: example
    'the_example_runs' => function (): void {
        global $ready;
        $php = escapeshellarg(PHP_BINARY) . ' -d ffi.enable=1';
        exec('TROPHY_API_KEY=' . KEY . " TROPHY_BASE_URL={$ready['url']} $php example.php 2>&1", $lines, $code);
        equal($code, 0);
        equal([in_array('streak: 1', $lines), end($lines)], [true, 'undelivered: 0']);
    },
];

$client = open();
foreach ($tests as $name => $test) {
    try {
        $test($client);
    } catch (Throwable $problem) {
        fwrite(STDERR, "FAILED $name\n$problem\n");
        exit(1);
    }
}
$client->close();
fclose($pipes[0]);
proc_close($sandbox);
echo count($tests), " tests\n";
