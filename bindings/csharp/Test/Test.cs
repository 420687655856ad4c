// The wrapper against the sandbox. Each test is a sentence; a failed one ends the run.

using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Trophy;

public static class Test
{
    private const string Key = "sandbox_admin.open-sesame";
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(120); // a condition that takes longer has failed
    // What takes a second on a machine of its own takes longer on a busy one; what takes ten is a wait for something.
    private const int Slowness = 10;
    private static readonly bool IsMono = Type.GetType("Mono.Runtime") != null;
    private static readonly bool IsWindows = Environment.OSVersion.Platform == PlatformID.Win32NT;
    private static TrophyJson ready;

    public static int Main(string[] arguments)
    {
        if (arguments.Length > 0)
        {
            return Child(arguments[0]);
        }
        string folder = Path.Combine(Path.GetTempPath(), "trophy-" + Guid.NewGuid());
        Directory.CreateDirectory(folder);
        // Under Wine the sandbox is none of ours: its ready file is named.
        string readyFile = Environment.GetEnvironmentVariable("TROPHY_SANDBOX_READY");
        Process sandbox = null;
        if (string.IsNullOrEmpty(readyFile))
        {
            readyFile = Path.Combine(folder, "ready");
            sandbox = Process.Start(new ProcessStartInfo(Environment.GetEnvironmentVariable("TROPHY_SANDBOX"),
                "--port 0 --exit-with-stdin --ready-file " + readyFile)
            {
                UseShellExecute = false,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            });
        }
        WaitFor(() => File.Exists(readyFile));
        ready = new TrophyJson(File.ReadAllText(readyFile));

        var tests = new Dictionary<string, Action<TrophyClient>>
        {
            // shows: counts-once
            ["an event sent twice with one key counts once"] = Once,
            // shows: scripts
            ["text in any script arrives as it was"] = Unicode,
            ["objects, dictionaries and sequences are written as JSON"] = client => Written(),
            ["the common operations have methods"] = Common,
            // shows: errors
            ["an error tells its code and what the service sent"] = NotFound,
            ["a rate limit tells when to come back"] = RateLimited,
            ["an invalid argument is named and nothing is sent"] = WrongArgument,
            // shows: text, wrong-types
            ["an argument that is no text or no object is named"] = Refused,
            // shows: deep-values
            ["objects that JSON cannot hold are refused, and say where"] = client => Unwritable(),
            // shows: any-reply
            ["no reply throws anything but our own error"] = client => AnyReply(),
            // shows: two-numbers
            ["Close tells events from calls"] = client => TwoNumbers(),
            ["a Flush that a Close ends is cancelled"] = client => FlushUnder(),
            // shows: tenant-close
            ["a tenant's Close lets go of its handle only"] = client => TenantClosed(),
            // shows: many-errors
            ["of handlers that throw in one Dispatch no exception is lost"] = client => ThrowingInDispatch(),
            // shows: ends, exits, uncaught
            ["a process ends at once with its own code"] = client => Ends(),
            // shows: slow-end
            ["a slow handler harms no process that ends"] = client => SlowEnd(),
            // shows: interrupt
            ["Ctrl-C ends a program that waits"] = client => Interrupted(),
            ["a hundred asynchronous events each count"] = Hundred,
            // shows: cancel
            ["a token that is cancelled ends its call"] = client => Cancelled(),
            ["a call that was cancelled before is not made"] = CancelledBefore,
            ["a call under way ends when the client closes"] = client => ClosedUnder(),
            ["the garbage collector disturbs no call"] = Collecting,
            ["tasks go on, and exceptions come out, in Dispatch"] = client => Dispatched(),
            ["options may be text, as a file has it"] = client => OptionsAsText(),
            ["what awaits on a user interface's thread goes on there, and a handler may post to it"] = OnItsThread,
            // shows: queue
            ["the queue delivers and says how each event ended"] = Queued,
            ["deliveries are heard until close is done"] = client => HeardToTheEnd(),
            // shows: offline
            ["an event outlives its process offline"] = client => Offline(folder),
            ["a tenant has its own totals"] = Tenant,
            // shows: closed
            ["a closed client says so and closes again in peace"] = client => ClosedTwice(),
            // shows: close-inside
            ["a handler cannot close its client"] = client => ClosedInside(),
            ["a rotated key is taken"] = client => Rotated(),
            // shows: freed
            ["a forgotten client is freed, but not under a call"] = client => Forgotten(),
            ["a client that is not used after a call is not freed under it"] = client => NotUsedAfter(),
            // shows: webhook
            ["a webhook is believed only with its signature"] = client => Webhook(),
            // shows: log
            ["log lines are heard, without the secret"] = client => Logged(),
            // shows: memory
            ["thousands of calls leave memory flat"] = Flat,
            ["what a handler throws is an unhandled exception"] = client => Throwing(),
            ["a program that closes nothing ends"] = client => Forgetful(),
            // shows: example
            ["the program in the README runs"] = client => ReadmeExample(),
        };
        string running = null;
        // All of them take seconds: whoever waits for ever says so.
        using (new Timer(_ => Environment.FailFast("STUCK in " + running), null, 600_000, Timeout.Infinite))
        foreach (KeyValuePair<string, Action<TrophyClient>> test in tests)
        {
            running = test.Key;
            try
            {
                Ask("/reset", "{}");
                using (TrophyClient client = Open())
                {
                    test.Value(client);
                }
            }
            catch (Exception problem)
            {
                Console.Error.WriteLine("FAILED " + test.Key + "\n" + problem);
                return 1;
            }
        }
        if (sandbox != null)
        {
            sandbox.StandardInput.Close();
            sandbox.WaitForExit();
        }
        Directory.Delete(folder, true);
        Console.WriteLine(tests.Count + " tests");
        return 0;
    }

    private static TrophyClient Open(string url = null, string callbacks = null, string path = null)
    {
        var queue = new Dictionary<string, object> { ["requests_per_second"] = 1000 };
        if (path != null)
        {
            queue["path"] = path;
        }
        var options = new Dictionary<string, object>
        {
            ["base_url"] = url ?? ready.String("/url"),
            ["admin_base_url"] = ready.String("/adminUrl"),
            ["queue"] = queue,
        };
        if (callbacks != null)
        {
            options["callbacks"] = callbacks;
        }
        return new TrophyClient(Key, options);
    }

    private static TrophyJson Ask(string path, string body = null)
    {
        var url = new Uri(new Uri(ready.String("/url")), "/_sandbox" + path);
        using (var web = new WebClient())
        {
            return new TrophyJson(body == null ? web.DownloadString(url) : web.UploadString(url, body));
        }
    }

    private static void Hang()
    {
        Ask("/faults", "{\"fault\":\"hang\"}");
    }

    private static void WaitForRequest(string operation)
    {
        WaitFor(() => Ask("/ledger").Number("/requests/" + operation).HasValue);
    }

    private static void WaitFor(Func<bool> condition)
    {
        Stopwatch clock = Stopwatch.StartNew();
        while (!condition())
        {
            if (clock.Elapsed > Wait)
            {
                throw new Exception("waited too long");
            }
            Thread.Sleep(5);
        }
    }

    private static void Equal<T>(T have, T want)
    {
        if (!EqualityComparer<T>.Default.Equals(have, want))
        {
            throw new Exception("have " + have + ", want " + want);
        }
    }

    private static T Throws<T>(Action call) where T : Exception
    {
        try
        {
            call();
        }
        catch (T error)
        {
            return error;
        }
        throw new Exception("no " + typeof(T).Name);
    }

    private static TrophyException Fails(Action call, string code, string word = "")
    {
        TrophyException error = Throws<TrophyException>(call);
        Equal(error.Code, code);
        if (!error.Message.Contains(word))
        {
            throw new Exception("\"" + word + "\" is not in: " + error.Message);
        }
        return error;
    }

    private static T Result<T>(Task<T> task)
    {
        // WaitAny does not throw.
        Equal(Task.WaitAny(new Task[] { task }, Wait), 0);
        return task.GetAwaiter().GetResult();
    }

    private static void Once(TrophyClient client)
    {
        TrophyJson first = client.Event("words-written", "18", 750, idempotencyKey: "chapter-1");
        TrophyJson again = client.Event("words-written", new { id = "18" }, 750, idempotencyKey: "chapter-1");
        Equal(first.Number("/total"), 750);
        Equal(first.IsTrue("/idempotentReplayed"), false);
        Equal(again.Number("/total"), 750);
        Equal(again.IsTrue("/idempotentReplayed"), true);
        Equal(client.Streak("18").Number("/length"), 1);
    }

    private static void Unicode(TrophyClient client)
    {
        string id = "Ωμέγα/🏆 \"q\"", name = "Zoë 漢字 🏆 \\ / \n\t\u0001";
        client.Event("words-written", new { id, name }, 1.5, new { genre = "поэма", device = (string)null });
        Equal(client.Call("users_get", new { id }).String("/name"), name);
        Equal(client.Call("users_single_metric", new { id, key = "words-written" }).Number("/current"), 1.5);
        Fails(() => client.Streak("\ud83c"), "invalid_argument", "surrogate");
    }

    private static void Written()
    {
        var members = new Dictionary<string, object>
        {
            ["a\""] = new object[] { null, true, 'c', 1, 2L, 0.1, 1.5f, 12.34m, 1e300, byte.MaxValue },
            ["empty"] = new Dictionary<string, int>(),
            ["none"] = new int[0],
            ["date"] = new DateTime(2026, 3, 2, 12, 0, 0, DateTimeKind.Utc),
            ["json"] = new TrophyJson("[1]"),
            ["nothing"] = default(TrophyJson),
            ["object"] = new { x = 1, y = "\u0000" },
        };
        Equal(TrophyJson.Write(members), "{\"a\\\"\":[null,true,\"c\",1,2,0.1,1.5,12.34,1E+300,255],\"empty\":{},"
            + "\"none\":[],\"date\":\"2026-03-02T12:00:00.0000000Z\",\"json\":[1],\"nothing\":null,"
            + "\"object\":{\"x\":1,\"y\":\"\\u0000\"}}");
        var json = new TrophyJson(TrophyJson.Write(members));
        Equal(json.Length("/a\""), 10);
        Equal(json.At("/object").Value.Number("/x"), 1);
        Equal(json.At("/date").HasValue, false);
        Equal(json.Number("/date").HasValue, false);
        Equal(json.String("/absent"), null);
        Equal(default(TrophyJson).Length(""), -1);
        Fails(() => TrophyJson.Write(double.NaN), "invalid_argument", "NaN");
        Fails(() => TrophyJson.Write(new object()), "invalid_argument", "System.Object");
    }

    private static void Refused(TrophyClient client)
    {
        Action<Action, string> refused = (call, name) => Fails(call, "invalid_argument", name);
        refused(() => client.Event("k\ud800", "18"), "key: ");
        refused(() => client.Event("words-written", "a\ud800"), "user: ");
        refused(() => client.Enqueue("words-written", new { id = "18", name = "\udfff" }), "user: ");
        refused(() => client.Enqueue("words-written", "18", idempotencyKey: "k\ud800"), "idempotencyKey: ");
        refused(() => client.Event("words-written", "18", attributes: new { genre = "\ud800" }), "attributes: ");
        refused(() => Result(client.CallAsync("users_get", new { id = "\udc00" })), "args: ");
        refused(() => client.Call("\ud800"), "operation: ");
        refused(() => client.ForTenant("\ud800"), "tenantId: ");
        refused(() => client.SetApiKey("\ud800"), "apiKey: ");
        refused(() => TrophyClient.VerifyWebhook(new byte[0], "\ud800", "secret"), "signature: ");
        refused(() => client.Event("words-written", 18), "user");
        refused(() => client.Event("words-written", new[] { "18" }), "user");
        refused(() => client.Event(null, "18"), "key");
        refused(() => client.Streak(null), "id");
        refused(() => client.ForTenant(null), "tenant");
        refused(() => client.Call(null), "operation");
        Throws<ArgumentNullException>(() => TrophyClient.VerifyWebhook(null, "", ""));
        Equal(Ask("/ledger").Length("/requests"), 0);
    }

    private struct Vector
    {
        public double X { get; set; }
        public Vector Normalized { get { return this; } }
    }

    private sealed class Matrix
    {
        public int Rows { get { return 2; } }
        public int WriteOnly { set { } }
        public double this[int index] { get { return index; } }
    }

    private struct Fields
    {
        public string id;
        public string name { get { return "Ada"; } }
    }

    private sealed class Broken
    {
        public int Value { get { throw new InvalidOperationException("of its own"); } }
    }

    private static void Unwritable()
    {
        Fails(() => TrophyJson.Write(new { at = default(Vector) }), "invalid_argument", "nested too deeply");
        var endless = new List<object>();
        endless.Add(endless);
        Fails(() => TrophyJson.Write(endless), "invalid_argument", "nested too deeply");
        Fails(() => TrophyJson.Write(new { broken = new Broken() }), "invalid_argument", "value.broken.Value: cannot be read: of its own");
        Fails(() => TrophyJson.Write(new { day = DayOfWeek.Friday }), "invalid_argument", "value.day: ");
        Fails(() => TrophyJson.Write(new[] { 1, double.NaN }), "invalid_argument", "value[1]: ");
        Fails(() => TrophyJson.Write(new { name = new TaskCompletionSource<string>().Task }), "invalid_argument", "value.name: ");
        Fails(() => TrophyJson.Write(new { name = (Func<string>)(() => "Ada") }), "invalid_argument", "value.name: JSON");
        Equal(TrophyJson.Write(new Matrix()), "{\"Rows\":2}");
        // As Unity's serializable types have them.
        Equal(TrophyJson.Write(new Fields { id = "18" }), "{\"name\":\"Ada\",\"id\":\"18\"}");
        dynamic expando = new System.Dynamic.ExpandoObject();
        Equal(TrophyJson.Write(expando), "{}");
        expando.id = "18";
        expando.tags = new[] { "a" };
        Equal(TrophyJson.Write(expando), "{\"id\":\"18\",\"tags\":[\"a\"]}");
        IEnumerable<KeyValuePair<string, int>> pairs = new[] { new KeyValuePair<string, int>("a", 1) };
        Equal(TrophyJson.Write(pairs.Where(pair => pair.Value > 0)), "{\"a\":1}");
        Equal(TrophyJson.Write(new { none = DBNull.Value }), "{\"none\":null}");
        // The "R" of .NET Framework and Mono gives another number.
        foreach (double number in new[] { 0.84551240822557006, 0.1, 5e-324, double.MaxValue })
        {
            Equal(double.Parse(TrophyJson.Write(number), System.Globalization.CultureInfo.InvariantCulture), number);
        }
        Equal(TrophyJson.Write(new Uri("https://a.example/b")), "\"https://a.example/b\"");
    }

    private static void AnyReply()
    {
        var replies = new TrophyJson(File.ReadAllText(Environment.GetEnvironmentVariable("TROPHY_REPLIES")));
        using (var client = new TrophyClient(Key, new { base_url = ready.String("/url"), max_retries = 0 }))
        {
            for (int index = 0; index < replies.Length(""); index++)
            {
                foreach (Func<TrophyJson> call in new Func<TrophyJson>[] {
                    () => client.Streak("18"), () => Result(client.CallAsync("users_streak", new { id = "18" })) })
                {
                    Ask("/faults", "{\"count\":1,\"operation\":\"users_streak\"," + replies.String("/" + index).Substring(1));
                    try
                    {
                        call().Number("/length", 0);
                    }
                    catch (TrophyException error)
                    {
                        Equal(error.Code.Length > 0, true);
                        Equal(error.Message.Contains("TrophyException"), false);
                    }
                }
            }
        }
        Ask("/faults", "{\"fault\":\"rate_limited\",\"retryAfter\":\"1000000000000\",\"count\":1}");
        using (var client = new TrophyClient(Key, new { base_url = ready.String("/url"), max_retries = 0 }))
        {
            TrophyException error = Fails(() => Result(client.CallAsync("achievements_all")), "rate_limited");
            Equal(error.RetryAfter > TimeSpan.FromDays(1), false);
        }
    }

    private static void TwoNumbers()
    {
        Hang();
        using (TrophyClient client = Open())
        {
            Task<TrophyJson>[] calls = Enumerable.Range(0, 100)
                .Select(n => client.EventAsync("words-written", "user-" + n)).ToArray();
            TrophyEnding ending = client.Close(TimeSpan.Zero);
            Equal(ending.Undelivered, 0);
            Equal(ending.Cancelled, 100);
            foreach (Task<TrophyJson> call in calls)
            {
                Fails(() => Result(call), "cancelled");
            }
        }
    }

    private static void FlushUnder()
    {
        Hang();
        string end = null;
        // One that came too late finds the client closed: then once more.
        for (int round = 0; end != "cancelled"; round++)
        {
            Equal(round < 100, true);
            using (TrophyClient client = Open())
            {
                client.Enqueue("words-written", "18");
                var thread = new Thread(() =>
                {
                    try
                    {
                        client.Flush(TimeSpan.FromSeconds(-1));
                    }
                    catch (TrophyException error)
                    {
                        end = error.Code;
                    }
                    catch (ObjectDisposedException)
                    {
                        end = "closed";
                    }
                });
                thread.Start();
                Thread.Sleep(round);
                Equal(client.Close(TimeSpan.Zero).Undelivered, 1);
                thread.Join();
                Equal(end == "cancelled" || end == "closed", true);
            }
        }
    }

    private static void TenantClosed()
    {
        using (TrophyClient client = Open())
        {
            TrophyClient acme = client.ForTenant("acme"), other = client.ForTenant("other");
            Equal(acme.Close(Wait).Undelivered, 0);
            Throws<ObjectDisposedException>(() => acme.Streak("18"));
            Equal(client.Event("words-written", "18").Number("/total"), 1);
            Equal(other.Event("words-written", "18").Number("/total"), 1);
            client.Close(Wait);
            Fails(() => other.Streak("18"), "closed");
        }
    }

    private static void ThrowingInDispatch()
    {
        using (TrophyClient client = Open(callbacks: "dispatch"))
        {
            client.Delivered += delivery =>
            {
                // In a handler anything may be called.
                client.Streak(delivery.UserId);
                throw new InvalidOperationException(delivery.UserId);
            };
            for (int user = 0; user < 3; user++)
            {
                client.Enqueue("words-written", user.ToString());
            }
            Equal(client.Flush(Wait), 0);
            var thrown = new List<string>();
            while (thrown.Count < 3)
            {
                try
                {
                    client.Dispatch(Wait);
                }
                catch (AggregateException all)
                {
                    thrown.AddRange(all.InnerExceptions.Select(exception => exception.Message));
                }
            }
            thrown.Sort();
            Equal(string.Join(" ", thrown), "0 1 2");
        }
    }

    private static void Common(TrophyClient client)
    {
        client.Event("words-written", "18", 1000);
        Equal(client.Achievements("18").Length("") > 0, true);
        Equal(client.CompleteAchievement("finish-onboarding", "18").String("/achievement/key"), "finish-onboarding");
        Equal(client.Points("18", "xp").Number("/total", 0) > 0, true);
        Equal(client.Leaderboard("all-time-words", 1).String("/rankings/0/userId"), "18");
        client.Identify("18", new { tz = "Asia/Tokyo" });
        Equal(client.Call("users_get", new { id = "18" }).String("/tz"), "Asia/Tokyo");
        Equal(client.Call("admin_metrics_list", new { limit = 1 }).Length(""), 1);
        Equal(TrophyClient.Version.StartsWith("1."), true);
    }

    private static void NotFound(TrophyClient client)
    {
        TrophyException error = Fails(() => client.Streak("nobody"), "not_found");
        Equal(error.Status, TrophyStatus.NotFound);
        Equal(error.HttpStatus, 404);
        Equal(error.Attempts, 1);
        Equal(error.RetryAfter.HasValue, false);
        Equal(error.Body.Value.String("/error"), "User not found: nobody");
        error = Fails(() => Result(client.CallAsync("users_streak", new { id = "nobody" })), "not_found");
        Equal(error.HttpStatus, 404);
    }

    private static void RateLimited(TrophyClient client)
    {
        Ask("/faults", "{\"fault\":\"rate_limited\",\"retryAfter\":\"7\"}");
        TrophyException error = Fails(
            () => client.Event("words-written", "18", options: new { max_retries = 0 }), "rate_limited");
        Equal(error.RetryAfter, TimeSpan.FromSeconds(7));
    }

    private static void WrongArgument(TrophyClient client)
    {
        Fails(() => client.Event("words-written", new { name = "nobody" }), "invalid_argument", "id");
        Fails(() => client.Event("words-written", "18", double.NaN), "invalid_argument", "value");
        Fails(() => client.Event("words\0written", "18"), "invalid_argument", "key");
        Fails(() => client.Event("words-written", "18", attributes: new { genre = 1 }), "invalid_argument", "attributes");
        Fails(() => client.Event("words-written", null), "invalid_argument", "user");
        Fails(() => client.Call("users_streak", new { id = "18", nonsense = 1 }), "invalid_argument", "nonsense");
        Fails(() => Result(client.CallAsync("no_such_operation")), "invalid_argument", "no_such_operation");
        Fails(() => Result(client.EventAsync("words\0written", "18")), "invalid_argument", "key");
        Fails(() => new TrophyClient(Key, new { time_out = 1 }), "invalid_argument", "time_out");
        Equal(Ask("/ledger").Length("/requests"), 0);
    }

    private static void Hundred(TrophyClient client)
    {
        Task<TrophyJson>[] replies = Enumerable.Range(0, 100)
            .Select(n => client.EventAsync("words-written", "user-" + n, n)).ToArray();
        for (int n = 0; n < 100; n++)
        {
            Equal(Result(replies[n]).Number("/total"), n);
        }
        Equal(Ask("/ledger").Number("/events"), 100);
    }

    private static void Cancelled()
    {
        foreach (string callbacks in new[] { null, "dispatch" })
        {
            Hang();
            using (TrophyClient client = Open(callbacks: callbacks))
            using (var cancel = new CancellationTokenSource())
            {
                Task<TrophyJson> call = client.ForTenant("acme").EventAsync("words-written", "18", cancel: cancel.Token);
                WaitForRequest("metrics_event");
                cancel.Cancel();
                if (callbacks == "dispatch")
                {
                    client.Dispatch(Wait);
                }
                OperationCanceledException error = Throws<OperationCanceledException>(() => Result(call));
                Equal(error.CancellationToken, cancel.Token);
                Equal(call.IsCanceled, true);
                Equal(client.Stats().Number("/callsUnderWay"), 0);
                Ask("/reset", "{}");
                // Its lane is free again.
                Equal(client.ForTenant("acme").Event("words-written", "18").Number("/total"), 1);
            }
        }
    }

    private static void CancelledBefore(TrophyClient client)
    {
        Task<TrophyJson> call = client.EventAsync("words-written", "18", cancel: new CancellationToken(true));
        Throws<OperationCanceledException>(() => Result(call));
        Equal(Ask("/ledger").Length("/requests"), 0);
    }

    private static void ClosedUnder()
    {
        Hang();
        using (TrophyClient client = Open())
        {
            Task<TrophyException> blocked = Task.Run(() => Fails(() => client.Event("words-written", "18"), "cancelled"));
            Task<TrophyJson> call = client.CallAsync("achievements_all");
            WaitForRequest("metrics_event");
            WaitForRequest("achievements_all");
            client.Close(TimeSpan.Zero);
            Fails(() => Result(call), "cancelled");
            Equal(Result(blocked).Status, TrophyStatus.Cancelled);
        }
    }

    private static void Collecting(TrophyClient client)
    {
        // Mono stops the threads by signals, also those of the library that have called back.
        Ask("/faults", "{\"fault\":\"delay\",\"ms\":20,\"count\":50}");
        for (int round = 0; round < 10; round++)
        {
            Task all = Task.WhenAll(Enumerable.Range(0, 20).Select(n => client.EventAsync("words-written", "user-" + n)));
            while (!all.IsCompleted)
            {
                client.Event("words-written", "collector");
                GC.Collect();
            }
            Equal(all.Status, TaskStatus.RanToCompletion);
        }
    }

    private static void Dispatched()
    {
        using (TrophyClient client = Open(callbacks: "dispatch"))
        {
            var ran = new List<int>();
            Func<Task> go = async () =>
            {
                await client.CallAsync("achievements_all").ConfigureAwait(false);
                ran.Add(Thread.CurrentThread.ManagedThreadId);
            };
            Task going = go();
            Equal(client.Dispatch(Wait), 1);
            Equal(going.IsCompleted, true);
            Equal(ran.Single(), Thread.CurrentThread.ManagedThreadId);
            Equal(client.Dispatch(TimeSpan.Zero), 0);

            // Where there is a context, as in Unity and in windows, tasks end there too.
            SynchronizationContext before = SynchronizationContext.Current;
            SynchronizationContext.SetSynchronizationContext(new UserInterface());
            try
            {
                Task<TrophyJson> call = client.CallAsync("achievements_all");
                Equal(client.Dispatch(Wait), 1);
                Equal(call.IsCompleted, true);
                var cancel = new CancellationTokenSource();
                call = client.CallAsync("achievements_all", cancel: cancel.Token);
                cancel.Cancel();
                Equal(client.Dispatch(Wait), 1);
                Equal(call.IsCompleted, true);
            }
            finally
            {
                SynchronizationContext.SetSynchronizationContext(before);
            }

            client.Delivered += delivery => throw new InvalidOperationException(delivery.Key);
            client.Enqueue("words-written", "18");
            AggregateException thrown = Throws<AggregateException>(() => client.Dispatch(Wait));
            Equal(thrown.InnerException.Message, "words-written");

            client.Enqueue("chapters-read", "18");
            thrown = Throws<AggregateException>(() => client.Close(Wait));
            Equal(thrown.InnerException.Message, "chapters-read");
            Throws<ObjectDisposedException>(() => client.Stats());
        }
    }

    /// <summary>The loop of a user interface: what is posted runs on the thread that runs it.</summary>
    private static void OptionsAsText()
    {
        new TrophyClient(Key, new TrophyJson("{ }")).Dispose();
        string text = "\r\n { \"base_url\": \"" + ready.String("/url") + "\" }\r\n";
        using (var client = new TrophyClient(Key, new TrophyJson(text)))
        {
            var threads = new BlockingCollection<string>();
            client.Delivered += delivery => threads.Add(Thread.CurrentThread.Name);
            client.Enqueue("words-written", "18");
            Equal(threads.TryTake(out string thread, Wait), true);
            Equal(thread, "trophy");
        }
    }

    private sealed class UserInterface : SynchronizationContext
    {
        private readonly BlockingCollection<Action> posted = new BlockingCollection<Action>();

        public override void Post(SendOrPostCallback callback, object state)
        {
            posted.Add(() => callback(state));
        }

        public void RunUntil(Func<bool> isOver)
        {
            while (!isOver())
            {
                Equal(posted.TryTake(out Action action, Test.Wait), true);
                action();
            }
        }
    }

    private static void OnItsThread(TrophyClient client)
    {
        var userInterface = new UserInterface();
        SynchronizationContext before = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(userInterface);
        try
        {
            var ran = new List<int>();
            Func<Task> go = async () =>
            {
                for (int n = 0; n < 10; n++)
                {
                    await client.EventAsync("words-written", "18");
                    ran.Add(Thread.CurrentThread.ManagedThreadId);
                }
            };
            client.Delivered += delivery =>
                userInterface.Post(_ => ran.Add(Thread.CurrentThread.ManagedThreadId), null);
            client.Enqueue("chapters-read", "18");
            Task going = go();
            userInterface.RunUntil(() => going.IsCompleted && ran.Count == 11);
            going.Wait();
            Equal(ran.Distinct().Single(), Thread.CurrentThread.ManagedThreadId);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    private static void Queued(TrophyClient client)
    {
        var ends = new BlockingCollection<TrophyDelivery>();
        Action<TrophyDelivery> unheard = delivery => throw new Exception("removed");
        client.Delivered += unheard;
        client.Delivered += ends.Add;
        client.Delivered -= unheard;
        Equal(client.Enqueue("words-written", "18", 10, idempotencyKey: "good"), "good");
        string made = client.Enqueue("words-written", "18", attributes: new { unknown = "x" });
        Equal(client.Flush(Wait), 0);
        var heard = new Dictionary<string, TrophyDelivery>();
        for (int n = 0; n < 2; n++)
        {
            Equal(ends.TryTake(out TrophyDelivery end, Wait), true);
            heard[end.IdempotencyKey] = end;
        }
        Equal(heard["good"].Response.Value.Number("/total"), 10);
        Equal(heard["good"].Error, null);
        Equal(heard["good"].UserId, "18");
        Equal(heard[made].Error.Status, TrophyStatus.Unprocessable);
        Equal(heard[made].Response.HasValue, false);
        Equal(client.Stats().Number("/delivered"), 1);
        Equal(client.Stats().Number("/dead"), 1);
    }

    private static void HeardToTheEnd()
    {
        foreach (string callbacks in new[] { null, "dispatch" })
        {
            int heard = 0;
            for (int round = 0; round < 20; round++)
            {
                using (TrophyClient client = Open(callbacks: callbacks))
                {
                    client.Delivered += delivery => Interlocked.Increment(ref heard);
                    client.Enqueue("words-written", "18");
                    Equal(client.Close(Wait).Undelivered, 0);
                }
            }
            Equal(heard, 20);
        }
    }

    private static void Offline(string folder)
    {
        Hang();
        string path = Path.Combine(folder, "queue");
        using (TrophyClient first = Open(path: path))
        {
            first.Enqueue("words-written", "18", 5);
            Equal(first.Flush(TimeSpan.Zero), 1);
            Equal(first.Close(TimeSpan.Zero).Undelivered, 1);
        }
        Ask("/reset", "{}");
        using (TrophyClient second = Open(path: path))
        {
            Equal(second.Flush(Wait), 0);
        }
        Equal(Ask("/ledger").Number("/events"), 1);
    }

    private static void Tenant(TrophyClient client)
    {
        TrophyClient acme = client.ForTenant("acme");
        acme.Event("words-written", "18", 3);
        Equal(client.Event("words-written", "18", 4).Number("/total"), 4);
        Equal(Result(acme.EventAsync("words-written", "18", 3)).Number("/total"), 6);
        acme.Dispose();
        Throws<ObjectDisposedException>(() => acme.Streak("18"));
        // The client lives on without it.
        Equal(client.Streak("18").Number("/length"), 1);
        TrophyClient orphan = client.ForTenant("acme");
        client.Close(Wait);
        Fails(() => orphan.Streak("18"), "closed");
    }

    private static void ClosedTwice()
    {
        TrophyClient client = Open();
        client.Enqueue("words-written", "18");
        Equal(client.Close(Wait).Undelivered, 0);
        Equal(client.Close(Wait).Undelivered, 0);
        client.Dispose();
        Throws<ObjectDisposedException>(() => client.Streak("18"));
        Throws<ObjectDisposedException>(() => client.Delivered += delivery => { });
        Throws<ObjectDisposedException>(() => Result(client.EventAsync("words-written", "18")));
        Equal(Ask("/ledger").Number("/events"), 1);
    }

    private static void ClosedInside()
    {
        using (TrophyClient client = Open())
        {
            var refused = new BlockingCollection<TrophyException>();
            client.Delivered += delivery =>
            {
                client.ForTenant("acme").Dispose();
                refused.Add(Fails(client.Dispose, "invalid_argument"));
            };
            client.Enqueue("words-written", "18");
            Equal(refused.TryTake(out TrophyException _, Wait), true);
            Equal(client.Streak("18").Number("/length"), 1);
        }
    }

    private static void Rotated()
    {
        Ask("/keys", "{\"adminKeys\":[\"new.key\"]}");
        using (TrophyClient client = Open())
        {
            Fails(() => client.Event("words-written", "18"), "unauthorized");
            client.SetApiKey("new.key");
            Equal(client.Event("words-written", "18").Number("/total"), 1);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Task<TrophyJson> Forget(string url)
    {
        TrophyClient client = Open(url);
        client.Delivered += delivery => client.Stats();
        return client.CallAsync("achievements_all");
    }

    private static void Forgotten()
    {
        // An open handle is seen by its connection: the host's end of it closes when the client is freed.
        var host = new TcpListener(IPAddress.Loopback, 0);
        host.Start();
        // On a thread of its own, so that this stack holds nothing the collector might take for the client.
        Task<TrophyJson> call = null;
        var thread = new Thread(() => call = Forget("http://" + host.LocalEndpoint + "/v1"));
        thread.Start();
        thread.Join();
        using (Socket connection = host.AcceptSocket())
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            Equal(call.IsCompleted, false);
            var request = new byte[64 * 1024];
            Equal(connection.Receive(request) > 0, true);
            connection.Send(Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"));
            Equal(Result(call).ToString(), "[]");
            WaitFor(() =>
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
                return connection.Poll(0, SelectMode.SelectRead) && connection.Receive(request) == 0;
            });
        }
        host.Stop();
    }

    // Nothing names the client while its last call waits in C, which .NET's collector sees once the code is optimised. A
    // `try` here would hide it.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static TrophyJson LastCall(Func<TrophyClient, TrophyJson> call)
    {
        TrophyClient client = Open();
        client.Delivered += delivery => { };
        return call(client);
    }

    private static void NotUsedAfter()
    {
        var calls = new Dictionary<string, Func<TrophyClient, TrophyJson>>
        {
            ["Event"] = client => client.Event("words-written", "18"),
            ["Flush"] = client =>
            {
                client.Enqueue("words-written", "18");
                return new TrophyJson(client.Flush(Wait).ToString());
            },
            ["Call"] = client => client.Call("achievements_all"),
            ["a tenant's Streak"] = client => client.ForTenant("acme").Streak("18"),
        };
        foreach (KeyValuePair<string, Func<TrophyClient, TrophyJson>> call in calls)
        {
            Ask("/reset", "{}");
            Hang();
            Task<TrophyJson> reply = Task.Run(() => LastCall(call.Value));
            WaitFor(() => Ask("/ledger").Length("/requests") > 0);
            for (int round = 0; round < 20; round++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
                Thread.Sleep(5);
            }
            Equal(call.Key + (reply.IsCompleted ? " ended" : " waits"), call.Key + " waits");
        }
    }

    private static void Webhook()
    {
        byte[] body = Encoding.UTF8.GetBytes("{\"type\":\"achievement.completed\",\"name\":\"Zoë\"}");
        // By `openssl dgst -sha256 -hmac secret -binary | base64`: .NET itself needs an OpenSSL of its time for it.
        string signature = "yTkvO+Pl7RGy5hjM2cWXk/OUWI3xLlq9+/B79j9MI1I=";
        Equal(TrophyClient.VerifyWebhook(body, signature, "secret").String("/name"), "Zoë");
        body[0] ^= 1;
        Fails(() => TrophyClient.VerifyWebhook(body, signature, "secret"), "invalid_signature");
        Fails(() => TrophyClient.VerifyWebhook(new byte[0], signature, "secret"), "invalid_signature");
    }

    private static void Logged()
    {
        var lines = new ConcurrentQueue<string>();
        TrophyClient.OnLog(TrophyLogLevel.Debug, (level, message) => lines.Enqueue(level + " " + message));
        using (TrophyClient client = Open(callbacks: "worker"))
        {
            Result(client.EventAsync("words-written", "18"));
            // With threads of the library in it.
            Collecting(client);
        }
        TrophyClient.OnLog(TrophyLogLevel.Off, null);
        int count = lines.Count;
        using (TrophyClient client = Open())
        {
            client.Event("words-written", "18");
        }
        Equal(lines.Count, count);
        Equal(lines.Count(line => line.StartsWith("Debug") && line.Contains("POST")) > 200, true);
        Equal(lines.Any(line => line.Contains("open-sesame")), false);
    }

    private static long ResidentKib()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return IsWindows ? Environment.WorkingSet / 1024
            : long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1]) * 4;
    }

    private static void Flat(TrophyClient client)
    {
        if (!IsWindows && !File.Exists("/proc/self/statm"))
        {
            Console.WriteLine("skipped: memory: no /proc is here");
            return;
        }
        string wrong = new string('x', 1000);
        Action<int> some = count =>
        {
            for (int n = 0; n < count; n++)
            {
                client.Stats();
                Throws<TrophyException>(() => client.Call(wrong));
                client.ForTenant("acme").Dispose();
                if (n % 50 == 0)
                {
                    Result(client.EventAsync("words-written", "18"));
                }
            }
        };
        some(2000);
        // .NET lets its heap grow once, by tens of megabytes; what leaks grows every time.
        long grown = long.MaxValue;
        for (int round = 0; round < 3 && grown > 2500; round++)
        {
            long before = ResidentKib();
            some(8000);
            grown = ResidentKib() - before;
        }
        // The texts of Stats() alone would be 3,000 KiB, those of the errors 8,000.
        if (grown > 2500)
        {
            throw new Exception("grew by " + grown + " KiB");
        }
    }

    // ---- Other processes --------------------------------------------------------------------------------------------

    private static int Child(string which)
    {
        var client = new TrophyClient(options: new { queue = new { requests_per_second = 1000 } });
        if (which == "throw")
        {
            client.Delivered += delivery => throw new InvalidOperationException("of the handler's own");
            client.Enqueue("words-written", "18");
            Thread.Sleep(Timeout.Infinite);
        }
        if (which == "wait")
        {
            client.Event("words-written", "18");
            return 1;
        }
        if (which == "slow")
        {
            var began = new ManualResetEventSlim();
            client.Delivered += delivery =>
            {
                began.Set();
                Thread.Sleep(300);
            };
            for (int user = 0; user < 50; user++)
            {
                client.Enqueue("chapters-read", user.ToString());
            }
            began.Wait();
            return 7;
        }
        if (which == "exit in a handler")
        {
            client.Delivered += delivery =>
            {
                Say("ending");
                Environment.Exit(9);
            };
            client.Enqueue("words-written", "18");
            Thread.Sleep(Timeout.Infinite);
        }
        if (which == "forget")
        {
            client.Delivered += delivery => delivery.ToString();
            for (int user = 0; user < 50; user++)
            {
                client.EventAsync("words-written", user.ToString());
                client.Enqueue("chapters-read", user.ToString());
            }
            return 7;
        }
        var idle = new TrophyClient();
        idle.Delivered += delivery => Say(delivery.Key);
        for (int user = 0; user < 100; user++)
        {
            client.EventAsync("words-written", user.ToString());
        }
        Say("ending");
        switch (which)
        {
            case "return":
                return 0;
            case "exit":
                Environment.Exit(7);
                break;
            case "exit on a thread":
                new Thread(() => Environment.Exit(6)).Start();
                Thread.Sleep(Timeout.Infinite);
                break;
            case "uncaught":
                throw new InvalidOperationException("mine");
        }
        return 1;
    }

    private static void Say(string line)
    {
        Console.WriteLine(line);
        Console.Out.Flush();
    }

    /// <summary>What a runtime ends with after an exception that nobody caught.</summary>
    private static int Uncaught
    {
        get
        {
            // .NET aborts; Windows gives the code of the exception.
            return IsMono ? 1 : IsWindows ? unchecked((int)0xE0434352) : 128 + 6;
        }
    }

    private static void Ends()
    {
        var ways = new Dictionary<string, int>
        {
            ["return"] = 0, ["exit"] = 7, ["exit on a thread"] = 6, ["uncaught"] = Uncaught, ["exit in a handler"] = 9,
        };
        foreach (KeyValuePair<string, int> way in ways)
        {
            Ask("/reset", "{}");
            if (way.Key != "exit in a handler")
            {
                Hang();
            }
            using (Process process = Start("Test.exe", "\"" + way.Key + "\""))
            {
                Equal(process.StandardOutput.ReadLine(), "ending");
                Stopwatch clock = Stopwatch.StartNew();
                Task<string> rest = process.StandardOutput.ReadToEndAsync();
                string errors = process.StandardError.ReadToEnd();
                process.WaitForExit();
                // If the runtime itself failed, its report tells how.
                string report = process.ExitCode == way.Value ? "" : "\n" + rest.Result + errors;
                Equal(way.Key + " ends with " + process.ExitCode + report, way.Key + " ends with " + way.Value);
                Equal(clock.Elapsed < TimeSpan.FromSeconds(Slowness), true);
                Equal(errors.Contains("mine"), way.Key == "uncaught");
            }
        }
    }

    private static void SlowEnd()
    {
        for (int round = 0; round < 3; round++)
        {
            Equal(Run("Test.exe", "slow", out string output, out string errors), 7);
            Equal(errors, "");
        }
    }

    private static void Interrupted()
    {
        if (IsWindows || !File.Exists("/bin/kill"))
        {
            Console.WriteLine("skipped: Ctrl-C: no kill is here");
            return;
        }
        Hang();
        using (Process process = Start("Test.exe", "wait"))
        {
            WaitForRequest("metrics_event");
            Stopwatch clock = Stopwatch.StartNew();
            Process.Start("/bin/kill", "-INT " + process.Id).WaitForExit();
            Equal(process.WaitForExit((int)Wait.TotalMilliseconds), true);
            Equal(clock.Elapsed < TimeSpan.FromSeconds(Slowness), true);
            Equal(process.ExitCode != 0 && process.ExitCode != 1, true);
        }
    }

    private static Process Start(string program, string arguments)
    {
        var start = new ProcessStartInfo(Process.GetCurrentProcess().MainModule.FileName,
            Path.Combine(AppDomain.CurrentDomain.BaseDirectory, program) + " " + arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.EnvironmentVariables["TROPHY_API_KEY"] = Key;
        start.EnvironmentVariables["TROPHY_BASE_URL"] = ready.String("/url");
        start.EnvironmentVariables["TROPHY_ADMIN_BASE_URL"] = ready.String("/adminUrl");
        return Process.Start(start);
    }

    private static int Run(string program, string arguments, out string output, out string errors)
    {
        using (Process process = Start(program, arguments))
        {
            Task<string> reading = process.StandardError.ReadToEndAsync();
            output = process.StandardOutput.ReadToEnd();
            errors = reading.Result;
            process.WaitForExit();
            return process.ExitCode;
        }
    }

    private static void Throwing()
    {
        int code = Run("Test.exe", "throw", out string output, out string errors);
        Equal(code != 0 && errors.Contains("of the handler's own"), true);
    }

    private static void Forgetful()
    {
        for (int round = 0; round < 3; round++)
        {
            int code = Run("Test.exe", "forget", out string output, out string errors);
            Equal(errors, "");
            Equal(code, 7);
        }
    }

    private static void ReadmeExample()
    {
        int code = Run("Example.exe", "", out string output, out string errors);
        Equal(errors, "");
        Equal(code, 0);
        foreach (string line in new[] { "total: 750", "delivered: 800", "streak: 1", "undelivered: 0" })
        {
            Equal(output.Contains(line) ? line : output, line);
        }
        Ask("/keys", "{\"adminKeys\":[\"new.key\"]}");
        Equal(Run("Example.exe", "", out output, out errors), 1);
        Equal(errors.Contains("(unauthorized)"), true);
    }
}
