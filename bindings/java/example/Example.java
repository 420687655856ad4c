// Sends an event, enqueues one, reads a streak; then several reads at once.
// Needs TROPHY_API_KEY; with the sandbox also TROPHY_BASE_URL.

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import so.trophy.Json;
import so.trophy.TrophyClient;
import so.trophy.TrophyClient.Event;

public final class Example {
    public static void main(String[] arguments) {
        try (TrophyClient client = new TrophyClient()) {
            // Waits for the reply: what the event changed.
            Json reply = client.event(Event.of("words-written", "18", 750).withAttributes(Map.of("genre", "poem")));
            System.out.println("total: " + reply.number("/total", 0));

            // Kept in the queue until the service has it, through any outage.
            System.out.println("queued as " + client.enqueue(Event.of("words-written", "18", 50)));

            System.out.println("streak: " + client.streak("18").number("/length", 0));

            CompletableFuture<Json> achievements = client.callAsync("users_achievements", Map.of("id", "18"));
            CompletableFuture<Json> points = client.callAsync("users_points", Map.of("id", "18", "key", "xp"));
            System.out.println("achievements: " + achievements.join().length(""));
            System.out.println("points: " + points.join().number("/total", 0));

            System.out.println("undelivered: " + client.close(5000).undelivered());
        }
    }
}
