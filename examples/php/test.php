<?php

// The wrapper against the sandbox. Each test is a sentence; a failed one ends the run.

declare(strict_types=1);

require __DIR__ . '/Trophy.php';

use Trophy\Client;
use Trophy\TrophyException;

const KEY = 'sandbox_admin.open-sesame';

$readyFile = tempnam(sys_get_temp_dir(), 'trophy');
unlink($readyFile);
$sandbox = proc_open([getenv('TROPHY_SANDBOX'), '--port', '0', '--exit-with-stdin', '--ready-file', $readyFile], [['pipe', 'r'], ['file', '/dev/null', 'w'], STDERR], $pipes);
$deadline = microtime(true) + 10;
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
    $deadline = microtime(true) + 10;
    while (!$condition()) {
        microtime(true) < $deadline || throw new Exception('waited too long for callbacks');
        $client->dispatch(10);
    }
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
    'an_event_with_the_same_key_counts_once' => function (Client $client): void {
        $first = $client->event('words-written', 'php-once', 750, idempotencyKey: 'chapter-1');
        $again = $client->event('words-written', 'php-once', 750, idempotencyKey: 'chapter-1');
        equal([$first['total'], $first['idempotentReplayed']], [750, false]);
        equal([$again['total'], $again['idempotentReplayed']], [750, true]);
    },
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
    'queued_events_are_delivered_and_heard_of' => function (Client $client): void {
        $heard = [];
        $client->onDelivery(function (array $delivery, ?TrophyException $error) use (&$heard): void {
            $heard[$delivery['idempotencyKey']] = $error?->errorCode ?? 'ok';
        });
        $good = $client->enqueue('words-written', 'php-queue', 5);
        $bad = $client->enqueue('no-such-metric', 'php-queue', 5);
        $client->flush(10000);
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
    'a_client_is_closed_once_and_then_says_so' => function (): void {
        $client = open();
        $refused = null;
        $client->callAsync(function () use ($client, &$refused): void {
            $refused = failing(fn() => $client->close(), 'invalid_argument');
        }, 'achievements_all');
        dispatchUntil($client, function () use (&$refused) { return $refused !== null; });
        equal([$client->close(), $client->close()], [0, 0]);
        failing(fn() => $client->streak('18'), 'closed');
        failing(fn() => $client->dispatch(), 'closed');
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
    'a_webhook_is_checked' => function (): void {
        $body = "{\"type\":\"achievement.completed\",\"name\":\"漢\\u0000\"}";
        $signature = base64_encode(hash_hmac('sha256', $body, 'secret', true));
        equal(Trophy\verifyWebhook($body, $signature, 'secret')['type'], 'achievement.completed');
        failing(fn() => Trophy\verifyWebhook($body . ' ', $signature, 'secret'), 'invalid_signature');
        equal(Trophy\verifyWebhook("a\0b", base64_encode(hash_hmac('sha256', "a\0b", 'secret', true)), 'secret'), null);
    },
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
    'a_forgotten_client_is_freed' => function (): void {
        for ($i = 0; $i < 20; $i++) {
            $client = openSilent($socket);
            $client->callAsync(fn() => null, 'achievements_all');
        }
    },
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
