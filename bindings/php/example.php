<?php

// Sends an event, enqueues one, reads a streak; then the same without waiting, with a poll loop.
// Needs TROPHY_API_KEY; with the sandbox also TROPHY_BASE_URL.

declare(strict_types=1);

require __DIR__ . '/Trophy.php';

$client = new Trophy\Client();

// Waits for the reply: what the event changed.
$reply = $client->event('words-written', ['id' => '18', 'tz' => 'Europe/London'], 750, ['genre' => 'poem']);
echo "total: {$reply['total']}\n";

// Kept in the queue until the service has it, through any outage.
echo 'queued as ', $client->enqueue('words-written', '18', 50), "\n";

echo "streak: {$client->streak('18')['length']}\n";

// Several calls at once; dispatch() runs the callbacks as the replies come.
$open = 0;
foreach (['words-written', 'chapters-read'] as $metric) {
    $open++;
    $client->callAsync(function (?array $metric, ?Trophy\TrophyException $error) use (&$open): void {
        $open--;
        echo $error?->getMessage() ?? "{$metric['name']}: {$metric['current']}", "\n";
    }, 'users_single_metric', ['id' => '18', 'key' => $metric]);
}
while ($open > 0) {
    $client->dispatch(100);
}

echo 'undelivered: ', $client->close(5000)->undelivered, "\n";
