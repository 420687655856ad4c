// Sends an event, enqueues one, reads a streak; then several reads at once.
// Needs TROPHY_API_KEY; with the sandbox also TROPHY_BASE_URL.

using System;
using System.Threading.Tasks;
using Trophy;

public static class Example
{
    public static int Main()
    {
        try
        {
            Run().GetAwaiter().GetResult();
            return 0;
        }
        catch (TrophyException error)
        {
            Console.Error.WriteLine(error.Message + " (" + error.Code + ")");
            return 1;
        }
    }

    private static async Task Run()
    {
        using (var client = new TrophyClient(options: new { timeout_in_seconds = 10 }))
        {
            // Waits for the reply: what the event changed.
            TrophyJson reply = client.Event("words-written", "18", 750, new { genre = "poem" });
            Console.WriteLine("total: " + reply.Number("/total", 0));

            // Kept in the queue until the service has it, through any outage.
            client.Delivered += delivery => Console.WriteLine("delivered: " + delivery.Response?.Number("/total"));
            Console.WriteLine("queued as " + client.Enqueue("words-written", new { id = "18", name = "Ada" }, 50));

            Console.WriteLine("streak: " + client.Streak("18").Number("/length", 0));

            Task<TrophyJson> achievements = client.CallAsync("users_achievements", new { id = "18" });
            Task<TrophyJson> points = client.CallAsync("users_points", new { id = "18", key = "xp" });
            Console.WriteLine("achievements: " + (await achievements).Length(""));
            Console.WriteLine("points: " + (await points).Number("/total", 0));

            Console.WriteLine("undelivered: " + client.Close(TimeSpan.FromSeconds(5)).Undelivered);
        }
    }
}
