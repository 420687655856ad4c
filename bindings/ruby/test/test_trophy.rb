# frozen_string_literal: true

# The wrapper against the sandbox: ruby test/test_trophy.rb, with TROPHY_LIBRARY and TROPHY_SANDBOX set.

require "json"
require "logger"
require "minitest/autorun"
require "net/http"
require "open3"
require "openssl"
require "rbconfig"
require "stringio"
require "tmpdir"

require_relative "../lib/libtrophy"

# A local Trophy, of this process.
class Sandbox
  KEY = "sandbox_admin.open-sesame"

  attr_reader :url, :admin_url

  def initialize
    @process = IO.popen([ENV.fetch("TROPHY_SANDBOX"), "--port", "0", "--exit-with-stdin"], "r+")
    ready = JSON.parse(@process.gets)
    @url, @admin_url = ready.values_at("url", "adminUrl")
  end

  def ask(path, body = nil)
    uri = URI("#{@url.delete_suffix("/v1")}/_sandbox#{path}")
    reply = body ? Net::HTTP.post(uri, JSON.generate(body), "Content-Type" => "application/json") : Net::HTTP.get_response(uri)
    raise "#{path}: #{reply.code} #{reply.body}" unless reply.is_a?(Net::HTTPSuccess)

    reply.body.to_s.empty? ? nil : JSON.parse(reply.body, symbolize_names: true)
  end

  def stop
    @process.close_write
    @process.read
    @process.close
  end
end

SANDBOX = Sandbox.new
Minitest.after_run { SANDBOX.stop }

class TrophyTest < Minitest::Test
  WAIT = 120 # seconds; a condition that takes longer has failed
  # What takes a second on a machine of its own takes longer on a busy one; what takes ten is a wait for something.
  SLOWNESS = 10
  WAITING = Trophy.const_get(:Waiting)

  def setup
    SANDBOX.ask("/reset", {})
    @clients = []
    @client = another
  end

  def teardown
    @clients.each { |client| client.close(0) }
  end

  def another(**options)
    client = Trophy::Client.open(Sandbox::KEY, base_url: SANDBOX.url, admin_base_url: SANDBOX.admin_url, **options)
    @clients << client
    client
  end

  def hang
    SANDBOX.ask("/faults", { fault: "hang", operation: "metrics_event" })
  end

  def wait_until(what)
    deadline = Time.now + WAIT
    until yield
      flunk "not so in time: #{what}" if Time.now > deadline
      sleep 0.001
    end
  end

  def wait_for_event
    wait_until("the sandbox has the event") { SANDBOX.ask("/ledger")[:requests].key?(:metrics_event) }
  end

  def refused(code, &block)
    error = assert_raises(Trophy::Error, &block)
    assert_equal code, error.code
    error
  end

  def replacing(object, name, body)
    original, verbose = object.method(name), $VERBOSE
    $VERBOSE = nil # It would warn of what is redefined.
    object.define_singleton_method(name, &body)
    yield
  ensure
    object.define_singleton_method(name, original)
    $VERBOSE = verbose
  end

  # Events

  # shows: counts-once
  def test_an_event_sent_twice_with_one_key_counts_once
    first = @client.event("words-written", "18", 750, idempotency_key: "chapter-1")
    again = @client.event("words-written", { "id" => "18" }, 750, idempotency_key: "chapter-1")
    assert_equal [750, false], first.values_at(:total, :idempotentReplayed)
    assert_equal [750, true], again.values_at(:total, :idempotentReplayed)
    assert_equal 1, @client.streak(18)[:length]
  end

  # shows: scripts
  def test_text_in_any_script_arrives_as_it_was
    user = { id: 'Ωμέγα/🏆 "q"', name: "Zoë 李".encode(Encoding::UTF_16LE), attributes: { city: "São Paulo" } }
    @client.event("words-written", user, 1.5, attributes: { genre: "поэма", device: nil })
    @client.identify({ id: user[:id], tz: "Asia/Tokyo" })
    assert_equal [user[:id], "Zoë 李", "Asia/Tokyo"], @client.user(user[:id]).values_at(:id, :name, :tz)
    assert_equal 1.5, @client.metric(user[:id], "words-written")[:current]
  end

  def test_the_named_operations_answer
    @client.event(:"words-written", "18", 1000)
    assert_includes @client.achievements("18").map { |achievement| achievement[:name] }, "500 words"
    assert_equal "finish-onboarding", @client.complete_achievement("finish-onboarding", "18")[:achievement][:key]
    assert_equal 125, @client.points("18", "xp")[:total]
    assert_equal "18", @client.leaderboard("all-time-words", limit: 1)[:rankings][0][:userId]
    assert_equal 1, @client.call(:admin_metrics_list, limit: 1).size
    assert_match(/\A1\./, Trophy.version)
  end

  # Errors

  # shows: errors
  def test_an_error_tells_its_code_and_what_the_service_sent
    error = refused(:not_found) { @client.streak("nobody") }
    assert_equal [404, 23, 1, nil], [error.http_status, error.status, error.attempts, error.retry_after_ms]
    assert_equal({ error: "User not found: nobody" }, error.body)
    assert_includes error.message, "users_streak"
  end

  # shows: errors-travel
  def test_an_error_is_marshalled_as_it_was
    error = refused(:not_found) { @client.streak("nobody") }
    copy = Marshal.load(Marshal.dump(error))
    assert_equal [error.message, error.code, error.http_status, error.body], [copy.message, copy.code, copy.http_status, copy.body]
  end

  def test_a_rate_limit_tells_when_to_come_back
    SANDBOX.ask("/faults", { fault: "rate_limited", retryAfter: "7" })
    error = refused(:rate_limited) { @client.event("words-written", "18", max_retries: 0) }
    assert_equal 7000, error.retry_after_ms
  end

  # shows: text, deep-values
  def test_an_invalid_argument_is_named_and_nothing_is_sent
    endless = []
    endless << endless
    {
      "attributes_json" => -> { @client.event("words-written", "18", attributes: { genre: 1 }) },
      "value" => -> { @client.event("words-written", "18", Float::NAN) },
      "historyPeriod" => -> { @client.streak("18", historyPeriod: 1) },
      "time_out" => -> { @client.event("words-written", "18", time_out: 1) },
      "key" => -> { @client.event("words\0written", "18") },
      "idempotency_key" => -> { @client.enqueue("words-written", "18", idempotency_key: "\xFFa".b) },
      "user[:id]" => -> { @client.event("words-written", "\xFF") },
      "user[:attributes][:city]" => -> { @client.enqueue("words-written", { id: "18", attributes: { city: "a\xFF" } }) },
      "attributes" => -> { @client.event("words-written", "18", attributes: { "\xFF" => "a" }) },
      "id" => -> { @client.streak("\xFF") },
      'user["\\xFF"]' => -> { @client.event("words-written", { "id" => "18", "\xFF" => "a" }) },
      'body["\\xFF"]' => -> { @client.identify({ id: "18", "\xFF" => "a" }) },
      "body[:name]" => -> { @client.identify({ id: "18", name: "\xED\xA0\x80" }) },
      "tenant_id" => -> { @client.for_tenant("\xFF") },
      "api_key" => -> { @client.api_key = "\xFF" },
      "signature" => -> { Trophy.verify_webhook("", "\xFF", "secret") },
      "historyPeriods: nested" => -> { @client.streak("18", historyPeriods: endless) },
      "options_json" => -> { @client.event_async("words-written", "18", max_retries: -1) },
      "timeout" => -> { Trophy::Client.new(Sandbox::KEY, timeout: 1) }
    }.each do |name, call|
      assert_includes refused(:invalid_argument, &call).message, name
    end
    assert_empty SANDBOX.ask("/ledger")[:requests]
    assert_equal 0, WAITING.count
  end

  # shows: wrong-types
  def test_an_object_of_a_wrong_class_is_refused_by_name
    wrong = Object.new
    {
      "key" => -> { @client.event(18, "18") },
      "user" => -> { @client.event("words-written", wrong) },
      "user: must be an id, not a NilClass" => -> { @client.enqueue("words-written", nil) },
      "user: must be an id, not a Array" => -> { @client.event_async("words-written", [18]) },
      "user[:name]" => -> { @client.enqueue("words-written", { id: "18", name: wrong }) },
      "user_id" => -> { @client.streak(wrong) },
      "value" => -> { @client.event("words-written", "18", "5") },
      "value: must be a number, not a NilClass" => -> { @client.enqueue("words-written", "18", nil) },
      "attributes" => -> { @client.event("words-written", "18", attributes: [1]) },
      "attributes: must be a Hash, not a FalseClass" => -> { @client.enqueue("words-written", "18", attributes: false) },
      "attributes[:genre]" => -> { @client.event("words-written", "18", attributes: { genre: wrong }) },
      "idempotency_key" => -> { @client.enqueue("words-written", "18", idempotency_key: 42) },
      "options[:max_retries]" => -> { @client.event("words-written", "18", max_retries: wrong) },
      "operation" => -> { @client.call(nil.to_a) },
      "historyPeriods" => -> { @client.streak("18", historyPeriods: wrong) },
      "tenant_id" => -> { @client.for_tenant(wrong) },
      "api_key" => -> { Trophy::Client.new(wrong) },
      "timeout" => -> { @client.flush("soon") },
      "timeout: must be seconds or nil, not NaN" => -> { @client.flush(Float::NAN) },
      "body" => -> { Trophy.verify_webhook(nil, "", "") }
    }.each do |name, call|
      assert_includes refused(:invalid_argument, &call).message, name
    end
    assert_empty SANDBOX.ask("/ledger")[:requests]
  end

  # shows: any-reply
  def test_no_reply_raises_anything_but_our_own_error
    verbose, $VERBOSE = $VERBOSE, nil # of numbers that are no Float of Ruby's
    client = another(max_retries: 0)
    JSON.parse(File.read(File.join(__dir__, "../../replies.json"))).each do |reply|
      [-> { client.streak("18") }, -> { client.call_async(:users_streak, id: "18").value(WAIT) }].each do |call|
        SANDBOX.ask("/faults", reply.merge(operation: "users_streak", count: 1))
        begin
          call.call
        rescue Trophy::Error => error
          assert_kind_of Symbol, error.code
        end
      end
    end
    assert_equal 0, WAITING.count
  ensure
    $VERBOSE = verbose
  end

  # Async

  def test_a_hundred_promises_are_kept
    promises = Array.new(100) { |number| @client.event_async("words-written", "user-#{number}", number) }
    assert_equal (0...100).to_a, promises.map { |promise| promise.value(WAIT)[:total] }
    assert promises.all?(&:done?)
    assert_equal 100, SANDBOX.ask("/ledger")[:events]
    assert_equal 0, WAITING.count
  end

  def test_a_block_hears_the_reply_or_the_error
    heard = Queue.new
    @client.call_async(:users_streak, id: "nobody") { |reply, error| heard << [reply, error.code] }
    assert_equal [nil, :not_found], heard.pop
    @client.event_async("words-written", "18") { |reply, error| heard << [reply[:total], error] }
    assert_equal [1, nil], heard.pop
  end

  def test_an_error_is_raised_by_value
    promise = @client.call_async(:users_streak, id: "nobody")
    2.times { refused(:not_found) { promise.value(WAIT) } }
  end

  # shows: cancel
  def test_a_promise_that_is_cancelled_ends_its_call_and_frees_its_lane
    hang
    promise = @client.event_async("words-written", "18")
    assert_raises(Timeout::Error) { promise.value(0.01) }
    assert_raises(Timeout::Error) { Timeout.timeout(0.05) { promise.value } }
    wait_for_event
    assert promise.cancel
    refused(:cancelled) { promise.value(WAIT) }
    refute promise.cancel
    SANDBOX.ask("/reset", {})
    assert_equal 1, @client.event_async("words-written", "18").value(WAIT)[:total]
  end

  def test_a_promise_of_a_client_that_is_closed_says_so
    hang
    promise = @client.event_async("words-written", "18")
    wait_for_event
    @client.close(0)
    refused(:cancelled) { promise.value(WAIT) }
    refute promise.cancel
  end

  def test_dispatch_runs_callbacks_on_this_thread
    client = another(callbacks: "dispatch")
    heard = nil
    promise = client.event_async("words-written", "18") { heard = Thread.current }
    assert_equal 1, client.dispatch(WAIT)
    assert_equal [Thread.current, 1], [heard, promise.value(0)[:total]]
    client.close # No longer inside a callback.
  end

  # shows: many-errors
  def test_of_callbacks_that_raise_in_one_dispatch_none_is_lost
    client = another(callbacks: "dispatch", queue: { requests_per_second: 1000 })
    client.on_delivery do |delivery|
      # In a callback anything may be called.
      client.streak(delivery.user_id)
      raise "of #{delivery.user_id}"
    end
    3.times { |user| client.enqueue("words-written", user) }
    assert_equal 0, client.flush(WAIT)
    ran = 0
    _, said = capture_io do
      # A call that blocks runs nobody's callback, and loses none.
      assert_equal 1, client.streak(1)[:length]
      ran += client.dispatch(WAIT) while ran < 3
    end
    3.times { |user| assert_includes said, "of #{user} (RuntimeError)" }
  end

  # The queue

  # shows: queue
  def test_the_queue_delivers_and_says_how_each_event_ended
    Dir.mktmpdir do |folder|
      heard = Queue.new
      client = another(queue: { path: folder, requests_per_second: 1000 })
      client.on_delivery { |delivery| heard << [delivery, client.stats] }
      assert_equal "good", client.enqueue("words-written", "18", 10, idempotency_key: "good")
      made = client.enqueue("words-written", "18", attributes: { unknown: "x" })
      assert_equal 0, client.flush(WAIT)
      ends = Array.new(2) { heard.pop.first }.to_h { |delivery| [delivery.idempotency_key, delivery] }
      assert_equal [10, nil], [ends["good"].response[:total], ends["good"].error]
      assert_equal %w[words-written 18], [ends["good"].metric, ends["good"].user_id]
      assert_equal [:unprocessable, nil], [ends[made].error.code, ends[made].response]
      assert_equal [1, 1, 0], client.stats.values_at(:delivered, :dead, :queued)
      client.on_delivery
      client.enqueue("words-written", "18")
      assert_equal [0, 0], client.close(WAIT).to_a
      assert_empty heard
    end
  end

  # shows: offline
  def test_an_event_outlives_its_client_offline
    Dir.mktmpdir do |folder|
      hang
      first = another(queue: { path: folder })
      first.enqueue("words-written", "18", 5)
      assert_equal 1, first.flush(0)
      assert_equal [1, 0], first.close(0).to_a
      SANDBOX.ask("/reset", {})
      second = another(queue: { path: folder })
      assert_equal 0, second.flush(WAIT)
      assert_equal 1, SANDBOX.ask("/ledger")[:events]
      second.close
    end
  end

  def test_an_exception_in_a_callback_stays_in_ruby
    heard = Queue.new
    @client.on_delivery { |delivery| heard << delivery && raise("oh") }
    _, said = capture_io do
      @client.enqueue("words-written", "18")
      heard.pop
      # Waits for the callback to end.
      @client.close(WAIT)
    end
    assert_includes said, "a callback of trophy raised: "
    assert_includes said, "oh (RuntimeError)"
  end

  # shows: close-inside
  def test_close_inside_a_callback_is_refused
    heard = Queue.new
    @client.on_delivery do
      @client.close
    rescue Trophy::Error => error
      heard << error.code
    end
    @client.enqueue("words-written", "18")
    assert_equal :invalid_argument, heard.pop
    assert_equal 2, @client.event("words-written", "18")[:total]
  end

  def test_who_hears_of_deliveries_is_replaced_by_several_threads_at_once
    running = Queue.new
    @client.on_delivery do
      running << true
      sleep 0.05 # Meanwhile the other waits for this callback, or has replaced it.
      @client.on_delivery
    end
    @client.enqueue("words-written", "18")
    running.pop
    assert Thread.new { @client.on_delivery }.join(WAIT)
  end

  def test_a_close_that_another_thread_was_before_is_in_peace
    @client.close
    handle = @client.instance_variable_get(:@handle)
    handle.define_singleton_method(:closed?) { false } # As it was a moment ago.
    assert_equal [0, 0], @client.close.to_a
  end

  def test_a_client_whose_close_was_interrupted_is_closed_and_may_be_closed_again
    hang
    client = another(callbacks: "dispatch")
    promise = client.event_async("words-written", "18")
    wait_for_event
    assert_raises(Timeout::Error) { Timeout.timeout(0.1) { client.close(nil) } }
    Timeout.timeout(WAIT) { refute_equal 0, client.dispatch(nil) until promise.done? }
    refused(:cancelled) { promise.value }
    assert_equal 0, Timeout.timeout(WAIT) { client.dispatch(nil) }
    refused(:closed) { client.event("words-written", "18") }
    assert_equal [0, 0], client.close.to_a
    assert_equal [0, 0], client.close.to_a
  end

  def test_a_client_is_not_freed_under_a_close_that_was_interrupted
    client = another
    native = Trophy.const_get(:Native)
    close, free = native.method(:trophy_client_close), native.method(:trophy_client_free)
    begun, go_on, freed = Array.new(3) { Queue.new }
    slow_close = lambda do |handle, milliseconds, out|
      (begun << true) && go_on.pop if milliseconds.negative?
      close.call(handle, milliseconds, out)
    end
    replacing(native, :trophy_client_close, slow_close) do
      replacing(native, :trophy_client_free, ->(handle) { free.call(handle).tap { freed << true } }) do
        closing = Thread.new { assert_raises(IOError) { client.close(nil) } }
        begun.pop
        closing.raise(IOError)
        closing.join
        assert_equal [0, 0], client.close.to_a
        assert_empty freed
        go_on << true
        assert Timeout.timeout(WAIT) { freed.pop }
      end
    end
  end

  # shows: two-numbers
  def test_close_tells_events_from_calls
    hang
    client = another
    promises = Array.new(100) { |user| client.event_async("words-written", user) }
    ending = client.close(0)
    assert_equal [0, 100], [ending.undelivered, ending.cancelled]
    promises.each { |promise| refused(:cancelled) { promise.value(WAIT) } }
  end

  def test_a_flush_that_a_close_ends_is_cancelled
    hang
    @client.enqueue("words-written", "18")
    codes = Queue.new
    thread = Thread.new do
      @client.flush
    rescue Trophy::Error => error
      codes << error.code
    end
    wait_until("it is in C") { thread.backtrace&.any? { |line| line.include?("trophy_client_flush") } }
    assert_equal 1, @client.close(0).undelivered
    assert_equal :cancelled, codes.pop
    thread.join
  end

  # Handles

  def test_a_tenant_has_its_own_totals
    gone = @client.for_tenant("acme") do |acme|
      acme.event("words-written", "18", 3)
      assert_equal 4, @client.event("words-written", "18", 4)[:total]
      acme
    end
    refused(:closed) { gone.streak("18") }
    # The client lives on without it.
    assert_equal 4, @client.metric("18", "words-written")[:current]
    assert_includes SANDBOX.ask("/ledger")[:lanes].map { |lane| lane[:tenant] }, "acme"
  end

  # shows: closed
  def test_a_closed_client_says_so_and_closes_again_in_peace
    tenant = @client.for_tenant("acme")
    assert_equal [[0, 0], [0, 0]], [@client.close.to_a, @client.close.to_a]
    [-> { @client.stats }, -> { @client.event("words-written", "18") }, -> { @client.call_async(:users_streak, id: "18") },
     -> { @client.on_delivery { nil } }, -> { tenant.streak("18") }].each do |call|
      refused(:closed, &call)
    end
    assert_equal 0, WAITING.count
  end

  def test_a_block_closes_its_client_also_when_it_raises
    seen = nil
    assert_raises(ZeroDivisionError) do
      Trophy::Client.open(Sandbox::KEY) do |client|
        seen = client
        1 / 0
      end
    end
    refused(:closed) { seen.stats }
  end

  def test_other_threads_run_while_a_call_waits_and_close_ends_it
    hang
    codes = Queue.new
    thread = Thread.new do
      @client.event("words-written", "18")
    rescue Trophy::Error => error
      codes << error.code
    end
    wait_for_event
    @client.close(0)
    assert_equal :cancelled, codes.pop
    thread.join
  end

  def test_ten_threads_share_a_client
    threads = Array.new(10) do |number|
      Thread.new { Array.new(20) { @client.event("words-written", "user-#{number}") }.last[:total] }
    end
    assert_equal [20] * 10, threads.map(&:value)
  end

  # shows: freed
  def test_a_forgotten_client_is_freed
    skip "needs /proc" unless File.exist?("/proc/self/task")
    assert_equal 0, library_threads
    # In a frame of its own, so that no reference is left on the stack.
    Thread.new { forget_a_client }.join
    wait_until("the client's threads are gone") do
      GC.start
      library_threads.zero?
    end
  end

  def forget_a_client
    client = Trophy::Client.new(Sandbox::KEY, base_url: SANDBOX.url)
    client.event_async("words-written", "18").value(WAIT)
    refute_equal 0, library_threads
  end

  def test_a_block_that_holds_its_client_does_not_keep_it
    skip "needs /proc" unless File.exist?("/proc/self/task")
    # It is never answered: the block hears nothing that would hold the client.
    hang
    %w[worker dispatch].each do |callbacks|
      Thread.new { forget_a_client_with_a_block(callbacks) }.join
      wait_until("the client's threads are gone") do
        GC.start
        library_threads.zero?
      end
    end
  end

  def forget_a_client_with_a_block(callbacks)
    client = Trophy::Client.new(Sandbox::KEY, base_url: SANDBOX.url, callbacks: callbacks)
    client.on_delivery { client.stats }
    client.enqueue("words-written", "18")
    wait_until("the queue has a thread") { library_threads.positive? }
  end

  # Threads of this process by the library's names for them.
  def library_threads
    Dir.glob("/proc/self/task/*/comm").count do |name|
      File.read(name).start_with?("trophy-")
    rescue SystemCallError # It has just ended.
      false
    end
  end

  def test_a_rotated_key_is_taken
    SANDBOX.ask("/keys", { adminKeys: ["new.key"] })
    refused(:unauthorized) { @client.event("words-written", "18") }
    @client.api_key = "new.key"
    assert_equal 1, @client.event("words-written", "18")[:total]
  end

  # shows: tenant-close
  def test_a_tenants_close_lets_go_of_its_handle_only
    acme = @client.for_tenant("acme")
    other = @client.for_tenant("other")
    assert_equal [0, 0], acme.close.to_a
    assert_equal [1, 1], [@client, other].map { |client| client.event("words-written", "18")[:total] }
    @client.close
    refused(:closed) { other.streak("18") }
  end

  # The end of a process

  # A program that prints "ending" when it begins to end; its exit code and what it said.
  def ending(program)
    start(program) do |out, err, process|
      assert_equal "ending\n", out.gets, -> { err.read }
      since = Time.now
      code = process.value.exitstatus
      assert_operator Time.now - since, :<, 1 * SLOWNESS
      [code, err.read]
    end
  end

  def start(program)
    environment = { "TROPHY_API_KEY" => Sandbox::KEY, "TROPHY_BASE_URL" => SANDBOX.url,
                    "TROPHY_ADMIN_BASE_URL" => SANDBOX.admin_url }
    command = [environment, RbConfig.ruby, "-W0", "-r", File.join(__dir__, "../lib/libtrophy"), "-e", "$stdout.sync = true\n#{program}"]
    Open3.popen3(*command) do |_, out, err, process|
      yield out, err, process
    ensure
      Process.kill(:KILL, process.pid) if process.alive?
    end
  end

  BUSY = <<~PROGRAM
    client, idle = Trophy::Client.new, Trophy::Client.new
    idle.on_delivery { |delivery| p delivery }
    100.times { |user| client.event_async("words-written", user) }
    client.enqueue("words-written", "18")
  PROGRAM

  # shows: ends, exits, uncaught
  def test_a_process_ends_at_once_with_its_own_code
    hang
    [["", 0, ""], ["exit 7", 7, ""], ['raise "mine"', 1, "mine (RuntimeError)"], ["exit! 8", 8, ""],
     ["Thread.new { client.event('words-written', '19') }; Thread.pass", 0, nil],
     ["Thread.new { exit 6 }; sleep", 6, ""]].each do |last, code, says|
      ended, said = ending("#{BUSY}\nputs 'ending'\n#{last}")
      assert_equal code, ended, "#{last}: #{said}"
      assert_includes said, says if says
    end
  end

  def test_exit_in_a_callback_ends_the_process
    ["client.call_async(:achievements_all) { exit 9 }; puts 'ending'; sleep",
     "client.on_delivery { exit 9 }; client.enqueue('words-written', '18'); puts 'ending'; sleep"].each do |program|
      assert_equal [9, ""], ending("client = Trophy::Client.new\n#{program}")
    end
    assert_equal [9, ""], ending(<<~PROGRAM)
      client = Trophy::Client.new(callbacks: "dispatch")
      client.call_async(:achievements_all) { exit 9 }
      puts "ending"
      client.dispatch(nil)
    PROGRAM
  end

  def test_an_exit_handler_finds_a_closed_client
    ended, said = ending(<<~PROGRAM)
      client = nil
      at_exit do
        client.event("words-written", "18")
      rescue Trophy::Error => error
        $stderr.puts error.code, client.close.to_a.inspect
      end
      client = Trophy::Client.new
      client.event_async("words-written", "18")
      puts "ending"
    PROGRAM
    assert_equal [0, "closed\n[0, 0]\n"], [ended, said]
  end

  # shows: slow-end
  def test_a_slow_callback_may_end_before_ruby_does
    start(<<~PROGRAM) do |out, err, process|
      client = Trophy::Client.new(workers: 50, queue: { requests_per_second: 1000 })
      began = Queue.new
      slow = proc { began << 1; sleep 0.3; puts "ended" }
      client.on_delivery(&slow)
      client.enqueue("chapters-read", "18")
      200.times { |user| client.event_async("words-written", user, &slow) }
      began.pop
    PROGRAM
      assert_includes out.read, "ended"
      assert_equal ["", 0], [err.read, process.value.exitstatus]
    end
  end

  # shows: interrupt
  def test_signals_are_heard_and_cancel_the_call
    [["", "client.event('words-written', '18')"], ["", "client.call(:users_streak, id: '18')"],
     ["callbacks: 'dispatch'", "client.event('words-written', '18')"],
     ["", "client.enqueue('words-written', '18'); client.flush"],
     ["", "client.enqueue('words-written', '18'); client.close(nil)"],
     ["callbacks: 'dispatch'", "client.event_async('words-written', '18'); client.dispatch(nil)"]].each do |options, call|
      %i[INT TERM].each do |signal|
        SANDBOX.ask("/reset", {})
        SANDBOX.ask("/faults", { fault: "hang" })
        start(<<~PROGRAM) do |out, err, process|
          client = Trophy::Client.new(#{options})
          begin
            #{call}
          rescue SignalException => heard
            Thread.pass until #{call.include?(";")} || client.stats[:callsUnderWay].zero?
            puts heard.signo
            exit 5
          end
        PROGRAM
          wait_until("it waits") { !SANDBOX.ask("/ledger")[:requests].empty? }
          since = Time.now
          Process.kill(signal, process.pid)
          assert_equal ["#{Signal.list[signal.to_s]}\n", ""], [out.read, err.read], call
          assert_equal 5, process.value.exitstatus
          assert_operator Time.now - since, :<, 1 * SLOWNESS
        end
      end
    end
  end

  def test_an_interrupt_that_comes_with_the_reply_is_heard
    client = another(callbacks: "dispatch")
    wire = Trophy.const_get(:Wire)
    read, signals = wire.method(:read), %i[INT]
    interrupt_and_read = lambda do |status, text|
      Process.kill(signals.pop, Process.pid) if WAITING.inside? && !signals.empty?
      read.call(status, text)
    end
    replacing(wire, :read, interrupt_and_read) do
      assert_raises(Interrupt) do
        client.call(:achievements_all)
        sleep WAIT # It may be heard a moment after the reply has come.
      end
    end
    refute_empty client.call(:achievements_all)
  end

  def test_a_timeout_ends_a_call_and_frees_its_lane
    hang
    assert_raises(Timeout::Error) { Timeout.timeout(0.05) { @client.event("words-written", "18") } }
    assert_raises(Timeout::Error) { Timeout.timeout(0.05) { @client.enqueue("chapters-read", "18") && @client.flush } }
    SANDBOX.ask("/reset", {})
    assert_equal 1, @client.event("words-written", "18")[:total]
  end

  def test_close_in_a_trap_closes
    hang
    start(<<~PROGRAM) do |out, err, process|
      client = Trophy::Client.new
      trap(:TERM) { puts client.close(0).to_a.inspect }
      begin
        client.event("words-written", "18")
      rescue Trophy::Error => error
        puts error.code
      end
    PROGRAM
      wait_for_event
      Process.kill(:TERM, process.pid)
      assert_equal ["[0, 1]\ncancelled\n", ""], [out.read, err.read]
      assert_predicate process.value, :success?
    end
  end

  # fork

  def test_a_forked_child_uses_the_client_and_is_called_back
    skip "no fork here" unless Process.respond_to?(:fork)
    heard = Queue.new
    client = another(queue: { requests_per_second: 1000 })
    client.on_delivery { |delivery| heard << delivery.response[:total] }
    client.enqueue("words-written", "18")
    assert_equal 1, heard.pop
    child = fork do
      client.enqueue("words-written", "18")
      totals = [heard.pop, client.event("words-written", "18")[:total],
                client.event_async("words-written", "18").value(WAIT)[:total]]
      client.close
      exit!(totals == [2, 3, 4] ? 0 : 1)
    end
    assert_predicate Process.wait2(child).last, :success?
    assert_equal 5, client.event("words-written", "18")[:total]
  end

  # The rest

  # shows: webhook
  def test_a_webhook_is_believed_only_with_its_signature
    body = '{"type":"achievement.completed","name":"Zoë"}'
    signature = [OpenSSL::HMAC.digest("SHA256", "secret", body)].pack("m0")
    assert_equal "Zoë", Trophy.verify_webhook(body, signature, "secret")[:name]
    refused(:invalid_signature) { Trophy.verify_webhook("#{body} ", signature, "secret") }
    refused(:invalid_signature) { Trophy.verify_webhook("", signature, "secret") }
  end

  # shows: log
  def test_log_lines_go_to_the_logger_without_the_secret
    lines = StringIO.new
    Trophy.log_to(Logger.new(lines), :debug)
    @client.event("words-written", "18")
    Trophy.log_to(nil)
    @client.event("words-written", "18")
    assert_equal 1, lines.string.scan("POST").size, lines.string
    refute_includes lines.string, "open-sesame"
  ensure
    Trophy.log_to(nil)
  end

  # shows: example
  def test_the_program_in_the_readme_runs
    assert_includes run_program("-I", File.join(__dir__, "../lib"), File.join(__dir__, "../example.rb")), "streak 1"
  end

  def test_a_program_that_forgets_to_close_ends_too
    run_program("-r", File.join(__dir__, "../lib/libtrophy"), "-e", <<~PROGRAM)
      client = Trophy::Client.new
      client.on_delivery { |delivery| p delivery }
      Process.wait(fork { GC.start }) if Process.respond_to?(:fork)
      50.times do |user|
        client.event_async("words-written", user) { |reply, error| p reply, error }
        client.enqueue("chapters-read", user)
      end
      Thread.new { client.event("words-written", "18") }
    PROGRAM
  end

  def run_program(*arguments)
    environment = { "TROPHY_API_KEY" => Sandbox::KEY, "TROPHY_BASE_URL" => SANDBOX.url,
                    "TROPHY_ADMIN_BASE_URL" => SANDBOX.admin_url }
    Timeout.timeout(WAIT) do
      said = IO.popen([environment, RbConfig.ruby, "-w", *arguments, { err: %i[child out] }], &:read)
      assert_predicate Process.last_status, :success?, said
      said
    end
  end

  # shows: memory
  def test_thousands_of_calls_leave_memory_flat
    skip "needs /proc" unless File.exist?("/proc/self/statm")
    # Long, so that what leaks shows: 32 KiB a call, 6 MiB a round.
    long = "n" * (32 << 10)
    assert_memory_settles do
      200.times do
        @client.event("words-written", { id: "18", name: long })
        @client.call_async(:users_get, id: "18").value(WAIT)
        refused(:invalid_argument) { @client.call(long) }
      end
    end
    assert_equal 0, WAITING.count
  end

  def test_thousands_of_clients_leave_memory_flat
    skip "needs /proc" unless File.exist?("/proc/self/statm")
    assert_memory_settles { 1000.times { Trophy::Client.open(Sandbox::KEY) { |client| client.for_tenant("acme").close } } }
  end

  # Ruby's own heap grows for a few rounds, what leaks in each.
  def assert_memory_settles
    sizes = Enumerator.produce(0) { yield && resident_bytes }
    assert sizes.lazy.take(10).each_cons(2).any? { |before, after| after - before < 2 << 20 }, "memory grew in each round"
  end

  def resident_bytes
    GC.start
    File.read("/proc/self/statm").split[1].to_i * 4096
  end
end
