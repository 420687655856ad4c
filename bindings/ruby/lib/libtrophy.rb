# frozen_string_literal: true

# libtrophy for Ruby: events that count once, a queue that loses none. Copy this file; it needs only the ffi gem.
#
#   Trophy::Client.open do |client|                      # the API key: TROPHY_API_KEY
#     client.event("words-written", "18", 750, idempotency_key: "chapter-1")
#   end
#
# Any thread may use a client. The library is found by TROPHY_LIBRARY (its full path), else by the system.

require "ffi"
require "json"
require "timeout"

module Trophy
  # A call that failed. `code` says how: :not_found, :rate_limited, :invalid_argument, :closed, …
  class Error < StandardError
    attr_reader :status, :code, :http_status, :attempts, :retry_after_ms
    # What the service sent.
    attr_reader :body

    def initialize(status, error)
      @status = status
      @code = error[:code].to_sym
      @http_status, @attempts, @retry_after_ms = error.values_at(:httpStatus, :attempts, :retryAfterMs)
      @body = error[:body]
      super(error[:message])
    end
  end

  # How a queued event ended: with the service's response, or with an error.
  Delivery = Struct.new(:idempotency_key, :metric, :user_id, :response, :error, keyword_init: true)

  # What was left when a client was closed: events still in the queue, on disk if it has a path, else lost; and calls
  # that had to be cancelled.
  Ending = Struct.new(:undelivered, :cancelled)

  # A client: its connections, its threads, its queue. One for a process is enough.
  #
  # Options are those of trophy.h: Client.new(timeout_in_seconds: 10, queue: { path: "/var/lib/app/trophy" }), but for
  # workers, how many calls run at a time: 16.
  # A user is an id, or a hash with one: { id: "18", name: "Ada", attributes: { plan: "pro" } }. Replies are the
  # service's JSON, with symbols for names.
  class Client
    # Yields a client, and closes it at the end of the block; without a block, returns it.
    def self.open(api_key = nil, **options)
      client = new(api_key, **options)
      return client unless block_given?

      begin
        yield client
      ensure
        client.close
      end
    end

    def initialize(api_key = nil, **options)
      @shared = Shared.new(options[:callbacks].to_s == "dispatch")
      api_key = Wire.text(:api_key, api_key)
      options = Wire.json(nil, { workers: 16, **options })
      @handle = Handle.open(@shared) { |out, json| Native.trophy_client_new(api_key, options, out, json) }
      @is_tenant = false
    end

    # The main job: one event, three ways. What else is given is a request option: timeout_in_seconds: 2.

    # Adds `value` to the user's metric, waits for the reply, and returns it: achievements, streak, points.
    def event(metric, user, value = 1, attributes: nil, idempotency_key: nil, **options)
      arguments = Wire.event(metric, user, value, attributes, idempotency_key, options)
      @handle.reply(:trophy_metrics_event, *arguments)
    end

    # Puts an event into the queue, which delivers it, and returns its idempotency key.
    def enqueue(metric, user, value = 1, attributes: nil, idempotency_key: nil, **options)
      arguments = Wire.event(metric, user, value, attributes, idempotency_key, options)
      @handle.call { |client, out| Native.trophy_metrics_event_enqueue(client, *arguments, out) }[:idempotencyKey]
    end

    # Sends an event without waiting, and returns a Promise. A block is called with the reply, or with nil and an
    # error, on a thread of its own.
    def event_async(metric, user, value = 1, attributes: nil, idempotency_key: nil, **options, &done)
      arguments = Wire.event(metric, user, value, attributes, idempotency_key, options)
      Promise.start(@handle, done) do |client, function, number, out|
        Native.trophy_metrics_event_async(client, *arguments, function, number, out)
      end
    end

    # The queue.

    # Waits until the queue is empty, at most `timeout` seconds; returns how many events are undelivered.
    def flush(timeout = nil)
      @handle.flush(timeout)
    end

    # Calls the block with a Delivery for each event that left the queue, on a thread of its own. No block: nobody
    # hears.
    def on_delivery(&block)
      @handle.use { |client| @shared.hear(client, block) }
      nil
    end

    # Every operation, by its name; its parameters, `body` and `options` are the arguments.

    # client.call(:users_streak, id: "18", historyPeriods: 14)
    def call(operation, **args)
      @handle.reply(:trophy_call, Wire.text(:operation, operation), Wire.json(nil, args))
    end

    def call_async(operation, **args, &done)
      operation = Wire.text(:operation, operation)
      args = Wire.json(nil, args)
      Promise.start(@handle, done) do |client, function, number, out|
        Native.trophy_call_async(client, operation, args, function, number, out)
      end
    end

    # Creates the user, or changes what is given.
    def identify(user, **args)
      fields = Wire.user(user)
      call(:users_identify, id: fields[:id], body: fields.reject { |name, _| name == :id }, **args)
    end

    def user(user_id, **args)
      call(:users_get, id: Wire.id(:user_id, user_id), **args)
    end

    def streak(user_id, **args)
      call(:users_streak, id: Wire.id(:user_id, user_id), **args)
    end

    def achievements(user_id, **args)
      call(:users_achievements, id: Wire.id(:user_id, user_id), **args)
    end

    def complete_achievement(key, user, **args)
      call(:achievements_complete, key: key, body: { user: Wire.user(user) }, **args)
    end

    def metric(user_id, key, **args)
      call(:users_single_metric, id: Wire.id(:user_id, user_id), key: key, **args)
    end

    def points(user_id, key, **args)
      call(:users_points, id: Wire.id(:user_id, user_id), key: key, **args)
    end

    def leaderboard(key, **args)
      call(:leaderboards_get, key: key, **args)
    end

    # The client itself.

    # The same client (connections, threads, queue), whose calls are for a tenant; yields it if there is a block.
    # Its close lets go of this handle only.
    def for_tenant(tenant_id)
      tenant_id = Wire.text(:tenant_id, tenant_id)
      handle = @handle.use do |client|
        Handle.open(@shared) { |out, json| Native.trophy_client_for_tenant(client, tenant_id, out, json) }
      end
      tenant = dup.become_tenant(handle)
      return tenant unless block_given?

      begin
        yield tenant
      ensure
        tenant.close
      end
    end

    # Changes the key after it was rotated; a queue that was paused by the old one goes on.
    def api_key=(api_key)
      api_key = Wire.text(:api_key, api_key)
      @handle.call { |client, out| Native.trophy_client_set_api_key(client, api_key, out) }
    end

    def stats
      @handle.call { |client, out| Native.trophy_client_stats(client, out) }
    end

    # Runs ready callbacks on this thread, for callbacks: "dispatch"; nil waits for the first for ever. C has returned
    # by then, so that they may do anything: exit, too.
    def dispatch(timeout = 0)
      Wire.slices(timeout) do |milliseconds|
        @handle.dispatch(@shared.due.empty? ? milliseconds : 0)
        break unless @shared.due.empty? && @shared.is_dispatched && !@shared.is_closed
      end
      @shared.run_due
    end

    # Delivers what is queued, for at most `timeout` seconds, and ends the client; again, it does nothing. Returns an
    # Ending. A tenant's handle it only lets go of. It may be called in a trap.
    def close(timeout = 5)
      close_handle(timeout)
    rescue ThreadError => error
      raise unless error.message.include?("trap")

      # In a trap no lock may be taken, but another thread may. What the trap interrupted may hold one, so the wait ends.
      thread = Thread.new { close_handle(timeout) }
      thread.join(timeout && timeout + 1)&.value
    end

    protected

    def become_tenant(handle)
      @handle = handle
      @is_tenant = true
      self
    end

    private

    def close_handle(timeout)
      return Ending.new(0, 0) if @handle.closed?

      ending = @is_tenant ? Ending.new(0, 0) : @handle.close_client(Wire.milliseconds(timeout))
      @handle.close
      @shared.run_due unless @is_tenant
      ending
    rescue Error => error
      raise unless error.code == :closed # by another thread meanwhile

      Ending.new(0, 0)
    end
  end

  # The reply of an asynchronous call, to come.
  class Promise
    def self.start(handle, done, &call)
      promise = new(handle, done)
      promise.send(:start, handle.shared.later, &call)
      promise
    end

    # A call that blocks: what interrupts this thread (Ctrl-C, Timeout, kill) cancels it.
    def self.await(handle, &call)
      promise = new(handle, nil)
      begin
        promise.send(:start, nil, &call)
        # In dispatch mode the callbacks of others wait for their dispatch.
        handle.dispatch_slice until promise.done? || !handle.shared.is_dispatched
        promise.value
      ensure
        promise.cancel unless promise.done?
      end
    end
    private_class_method :new

    def initialize(handle, done)
      @handle = handle
      @done = done
      @number = 0 # Of no call, until it begins.
      @mutex = Mutex.new
      @changed = ConditionVariable.new
      @is_done = false
    end

    # Waits for the reply, and returns it, or raises the call's Error. After `timeout` seconds it raises
    # Timeout::Error, and the call goes on.
    def value(timeout = nil)
      deadline = timeout && now + timeout
      @mutex.synchronize do
        until @is_done
          left = deadline && deadline - now
          raise Timeout::Error, "no reply yet" if left && left <= 0

          @changed.wait(@mutex, left)
        end
      end
      @error ? raise(@error) : @reply
    end

    def done?
      @mutex.synchronize { @is_done }
    end

    # Ends the call; false if it had ended. An event under way may have been counted.
    def cancel
      @handle.use { |client| Native.trophy_client_cancel(client, @number) }.positive?
    rescue Error # The client is closed, and so are its calls.
      false
    end

    private

    def start(due)
      @number = Waiting.add(due) { |status, reply| finish(status, reply) }
      @handle.call { |client, out| yield(client, Native.done, @number, out) }
    rescue Error
      Waiting.remove(@number) # There will be no callback.
      raise
    end

    def finish(status, reply)
      error = Error.new(status, reply[:error]) unless status == Native::OK
      @mutex.synchronize do
        @reply = reply unless error
        @error = error
        @is_done = true
        @changed.broadcast
      end
      @done&.call(@reply, @error)
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end

  # Returns the webhook's JSON if Trophy signed it (X-Trophy-Signature), else raises :invalid_signature.
  def self.verify_webhook(body, signature, secret)
    raise Wire.invalid("body: must be the String as it came, not a #{body.class}") unless body.is_a?(String)

    signature = Wire.text(:signature, signature)
    secret = Wire.text(:secret, secret)
    Wire.call { |out| Native.trophy_webhook_verify(body, body.bytesize, signature, secret, out) }
  end

  # Sends the library's log lines of a level (:error, :warn, :info, :debug) and above to a Logger; nil ends it. For
  # the whole process.
  def self.log_to(logger, level = :warn)
    write = logger && FFI::Function.new(:void, %i[int32 string pointer]) do |number, message, _|
      logger.public_send(Native::LEVELS.key(number) || :debug, message.force_encoding(Encoding::UTF_8))
    rescue StandardError => error
      Wire.report(error)
    end
    Native.trophy_log_set_callback(logger ? Native::LEVELS.fetch(level) : 0, write, nil)
    @write = write # Only now may the one before it be collected.
    nil
  end

  def self.version
    Native.trophy_version
  end

  # Below: how values cross into C and back.

  # The C functions. Those that take a client let other threads of Ruby run: the library may call back meanwhile.
  module Native
    extend FFI::Library

    OK = 0
    INVALID_ARGUMENT = 1
    CLOSED = 2
    CANCELLED = 3
    TIMEOUT = 11
    INVALID_RESPONSE = 13
    LEVELS = { error: 1, warn: 2, info: 3, debug: 4 }.freeze

    begin
      # The gem of a platform has the library in it.
      packaged = Dir[File.expand_path("../native/*", __dir__)].first
      ffi_lib ENV["TROPHY_LIBRARY"] || packaged || %w[libtrophy.so.1 libtrophy.1.dylib trophy]
    rescue LoadError => error
      raise LoadError, "libtrophy was not found; install it, or set TROPHY_LIBRARY: #{error.message}"
    end

    callback :done, %i[int32 string uintptr_t], :void
    callback :log, %i[int32 string pointer], :void
    event = %i[pointer string string double string string string]

    attach_function :trophy_version, [], :string
    attach_function :trophy_string_free, %i[pointer], :void
    attach_function :trophy_webhook_verify, %i[buffer_in size_t string string pointer], :int32
    {
      trophy_log_set_callback: [%i[int32 log pointer], :void],
      trophy_client_new: [%i[string string pointer pointer], :int32],
      trophy_client_for_tenant: [%i[pointer string pointer pointer], :int32],
      trophy_client_dispatch: [%i[pointer int64], :size_t],
      trophy_client_cancel: [%i[pointer uintptr_t], :size_t],
      trophy_client_stats: [%i[pointer pointer], :int32],
      trophy_client_close: [%i[pointer int64 pointer], :int32],
      trophy_client_free: [%i[pointer], :void],
      trophy_client_set_api_key: [%i[pointer string pointer], :int32],
      trophy_client_flush: [%i[pointer int64 pointer], :int32],
      trophy_client_on_delivery: [%i[pointer done uintptr_t], :void],
      trophy_metrics_event: [event + %i[pointer], :int32],
      trophy_metrics_event_async: [event + %i[done uintptr_t pointer], :int32],
      trophy_metrics_event_enqueue: [event + %i[pointer], :int32],
      trophy_call: [%i[pointer string string pointer], :int32],
      trophy_call_async: [%i[pointer string string done uintptr_t pointer], :int32]
    }.each { |name, (parameters, result)| attach_function name, parameters, result, blocking: true }

    @functions = {}

    # The callback of all calls. A forked child makes its own: that starts ffi's thread for callbacks there.
    def self.done
      @functions[Process.pid] ||= FFI::Function.new(:void, %i[int32 string uintptr_t]) do |status, text, number|
        Waiting.finish(status, text, number)
      end
    end
  end
  private_constant :Native

  # Who is called back, by user_data: a number, never a pointer, so a callback that comes late harms nothing.
  module Waiting
    @mutex = Mutex.new
    @last = 0
    @blocks = {}
    # Who hears of deliveries. Weak: a block that holds its client must not keep both for ever.
    @clients = ObjectSpace::WeakMap.new

    # `due`: a queue in which the callback waits for dispatch; nil: it runs inside C's.
    def self.add(due, &block)
      @mutex.synchronize do
        @blocks[@last += 1] = [block, due]
        @last
      end
    end

    def self.add_client(shared)
      @mutex.synchronize do
        @clients[@last += 1] = shared
        @last
      end
    end

    def self.remove(number)
      @mutex.synchronize { @blocks.delete(number) }
    end

    def self.count
      @mutex.synchronize { @blocks.size }
    end

    # Whether this thread is inside a callback.
    def self.inside?
      Thread.current.thread_variable_get(:trophy_callback) || false
    end

    def self.finish(status, text, number)
      block, due = @mutex.synchronize { @blocks.delete(number) || @clients[number]&.listener }
      was_inside = inside?
      Thread.current.thread_variable_set(:trophy_callback, true)
      return unless block

      status, reply = Wire.read(status, text)
      due ? due << -> { block.call(status, reply) } : block.call(status, reply)
    rescue SystemExit => error # As from any thread: it ends the process.
      Thread.main.raise(error)
    rescue Exception => error # none may leave into C
      Wire.report(error)
    ensure
      Thread.current.thread_variable_set(:trophy_callback, was_inside)
    end
  end
  private_constant :Waiting

  # What the handles of a client have in common: who hears of deliveries, and callbacks that wait for dispatch.
  class Shared
    attr_reader :is_dispatched, :is_closed, :due
    # Of deliveries: a block, and where it waits for dispatch.
    attr_reader :listener

    def initialize(is_dispatched)
      @is_dispatched = is_dispatched
      @is_closed = false
      @due = Thread::Queue.new
      @number = Waiting.add_client(self) # of deliveries
    end

    def later
      @due if @is_dispatched
    end

    # What a block raises is a warning, as on a thread of its own; an exit ends this, and the others run next time.
    def run_due
      count = 0
      until @due.empty?
        count += 1
        begin
          @due.pop(true).call
        rescue StandardError, ScriptError => error
          Wire.report(error)
        end
      end
      count
    end

    def hear(client, block)
      @listener = [->(status, reply) { block.call(delivery(status, reply)) }, later] if block
      # With no lock held: it waits for a callback that runs, which may be about to come here, too.
      Native.trophy_client_on_delivery(client, block ? Native.done : nil, @number)
      @listener = nil unless block
    end

    # A forked child has a callback of its own.
    def hear_again(client)
      Native.trophy_client_on_delivery(client, Native.done, @number) if @listener
    end

    def close
      @is_closed = true
      @listener = nil
    end

    private

    def delivery(status, reply)
      error = Error.new(status, reply[:error]) if reply[:error]
      Delivery.new(idempotency_key: reply[:idempotencyKey], metric: reply[:key], user_id: reply[:userId],
                   response: reply[:response], error: error)
    end
  end
  private_constant :Shared

  # A trophy_client*, freed by whoever uses it last: never under a thread that is still in a call. If nobody closes it,
  # the garbage collector frees it.
  class Handle < FFI::AutoPointer
    @alive = ObjectSpace::WeakMap.new

    class << self
      def open(shared)
        out = FFI::MemoryPointer.new(:pointer)
        Wire.call { |json| yield(out, json) }
        handle = new(out.read_pointer, shared)
        # Before Ruby ends its threads, which callbacks need. Not earlier: exit handlers made later run first.
        @ending ||= at_exit { end_all } && true
        @alive[handle] = true
        handle
      end

      # Of the collector: in a thread, since it waits for callbacks, which may want a lock that this thread has.
      def release(pointer)
        Thread.new { Native.trophy_client_free(pointer) }
      end

      private

      def end_all
        @ending = nil
        @alive.keys.each(&:end_with_process)
      end
    end

    attr_reader :shared

    def initialize(pointer, shared)
      super(pointer)
      @shared = shared
      @mutex = Mutex.new
      @users = 1
      @closed = false
      @pid = Process.pid
    end

    def closed?
      @closed
    end

    def use
      @mutex.synchronize do
        raise Wire.error(Native::CLOSED, "closed", "this client is closed; make another") if @closed

        @users += 1
      end
      begin
        renew if @pid != Process.pid
        yield self
      ensure
        let_go
      end
    end

    # A call whose last parameter is out_json: returns the reply, or raises.
    def call
      use { |client| Wire.call { |out| yield(client, out) } }
    end

    # A call that blocks. Inside a callback it is C's own: the callback has one of the threads that an asynchronous one
    # would need.
    def reply(name, *arguments)
      return call { |client, out| Native.public_send(name, client, *arguments, out) } if Waiting.inside?

      Promise.await(self) do |client, function, number, out|
        Native.public_send(:"#{name}_async", client, *arguments, function, number, out)
      end
    end

    # If it waits, in a thread of its own: what interrupts this one would be raised inside the callback that ends the
    # wait, and lost.
    def dispatch(milliseconds)
      return use { |client| Native.trophy_client_dispatch(client, milliseconds) } if milliseconds.zero?

      Thread.new do
        Thread.current.report_on_exception = false
        use { |client| Native.trophy_client_dispatch(client, milliseconds) }
      end.value
    end

    def dispatch_slice
      dispatch(Wire::SLICE_MS)
    rescue Error # The client is closed, and so is the call that was waited for.
      nil
    end

    def flush(timeout)
      status = reply = nil
      Wire.slices(timeout) do |milliseconds|
        status, reply = use { |client| Wire.run { |out| Native.trophy_client_flush(client, milliseconds, out) } }
        break unless status == Native::TIMEOUT
      rescue Error => error
        raise if status.nil? || error.code != :closed

        status = Native::CANCELLED
        break
      end
      if status == Native::CANCELLED
        raise Wire.error(Native::CANCELLED, "cancelled", "flush: the client was closed meanwhile")
      end

      Wire.success(status, reply, Native::TIMEOUT)[:undelivered]
    end

    # In a thread of its own, since this one may be interrupted: then the client closes at once.
    def close_client(milliseconds)
      if Waiting.inside?
        # The library sees only that another thread closes it, and would wait for this callback.
        raise Wire.invalid("close: not from inside a callback, which it would wait for; return first")
      end
      ending = use do |client|
        thread = close_in_thread(milliseconds)
        Wire.success(*thread.value, Native::TIMEOUT)
      ensure
        Wire.run { |out| Native.trophy_client_close(client, 0, out) } if thread&.alive?
        @shared.close if thread
      end
      Ending.new(ending[:undelivered], ending[:cancelled])
    end

    def close
      @mutex.synchronize do
        return if @closed

        @closed = true
      end
      let_go
    end

    def end_with_process
      # What a forked child never used is its parent's.
      if @pid == Process.pid
        use { |client| Wire.run { |out| Native.trophy_client_close(client, 0, out) } }
        close
      end
    rescue Error # It is closed.
      nil
    ensure
      self.autorelease = false
    end

    private

    # It uses the handle for itself: who asked for it may be interrupted, and close the handle again.
    def close_in_thread(milliseconds)
      @mutex.synchronize { @users += 1 }
      Thread.new do
        Wire.run { |out| Native.trophy_client_close(self, milliseconds, out) }
      ensure
        let_go
      end
    end

    def renew
      @pid = Process.pid
      @shared.hear_again(self)
    end

    def let_go
      return unless @mutex.synchronize { (@users -= 1).zero? }

      self.autorelease = false
      if Waiting.inside?
        Thread.new { Native.trophy_client_free(self) }
      else
        Native.trophy_client_free(self)
      end
    end
  end
  private_constant :Handle

  # Values as C takes and gives them.
  module Wire
    module_function

    SLICE_MS = 100

    def event(metric, user, value, attributes, idempotency_key, options)
      raise invalid("value: must be a number, not a #{value.class}") unless value.is_a?(Numeric) && value.real?

      [text(:key, metric), json(:user, user(user)), value.to_f, attributes.nil? ? nil : json(:attributes, attributes),
       text(:idempotency_key, idempotency_key), json(:options, options)]
    end

    def user(user)
      return { id: id(:user, user) } unless user.is_a?(Hash)

      user.transform_keys { |name| name.to_s == "id" ? :id : name }
    end

    def id(name, value)
      return value.to_s if value.is_a?(Integer)
      raise invalid("#{name}: must be an id, not a #{value.class}") unless value.is_a?(String) || value.is_a?(Symbol)

      value
    end

    def text(name, value)
      return if value.nil?
      raise invalid("#{name}: must be a String, not a #{value.class}") unless value.is_a?(String) || value.is_a?(Symbol)

      text = utf8(name, value)
      # C would read no further.
      raise invalid("#{name}: must not hold U+0000") if text.include?("\0")

      text
    end

    # `name`: the parameter's; nil if the members are parameters themselves.
    def json(name, value)
      raise invalid("#{name}: must be a Hash, not a #{value.class}") unless value.is_a?(Hash)

      JSON.generate(plain(name, value, 0), max_nesting: false)
    end

    # What JSON has: JSON.generate would write anything, by its to_s.
    def plain(path, value, depth)
      raise invalid("#{path[/\A[^\[]*/]}: nested too deeply, or within itself") if depth > 100

      case value
      when nil, true, false, Integer then value
      when String, Symbol then utf8(path, value)
      when Float
        raise invalid("#{path}: JSON has no number for #{value}") unless value.finite?

        value
      when Numeric then plain(path, value.to_f, depth)
      when Array then value.each_with_index.map { |item, index| plain("#{path}[#{index}]", item, depth + 1) }
      when Hash
        value.to_h do |member, of|
          within = path ? "#{path}[#{member.inspect}]" : member.to_s
          [utf8(within, member.is_a?(Symbol) ? member : member.to_s), plain(within, of, depth + 1)]
        end
      else
        raise invalid("#{path}: JSON has no value for a #{value.class}") unless value.respond_to?(:iso8601)

        value.iso8601
      end
    end

    def utf8(name, value)
      text = value.to_s.encode(Encoding::UTF_8)
      raise invalid("#{name}: is no valid UTF-8") unless text.valid_encoding?

      text
    rescue EncodingError => problem
      raise invalid("#{name}: #{problem.message.scrub}")
    end

    # A reply as Ruby's values, or the status and error of one that Ruby cannot read.
    def read(status, text)
      [status, JSON.parse(text.force_encoding(Encoding::UTF_8), symbolize_names: true, max_nesting: false)]
    rescue JSON::ParserError, EncodingError => problem
      message = "the reply cannot be read in Ruby: #{problem.message.scrub[0, 200]}"
      [Native::INVALID_RESPONSE, { error: { code: "invalid_response", message: message } }]
    end

    def milliseconds(timeout)
      return -1 if timeout.nil?
      raise invalid("timeout: must be seconds or nil, not a #{timeout.class}") unless timeout.is_a?(Numeric) && timeout.real?
      raise invalid("timeout: must be seconds or nil, not NaN") if timeout.to_f.nan?

      timeout.to_f.infinite? == 1 ? -1 : (timeout.clamp(0, 1e12) * 1000).ceil
    end

    # Cuts a wait into pieces, between which Ruby runs what signals and Timeout ask for.
    def slices(timeout)
      left = milliseconds(timeout)
      loop { yield SLICE_MS } if left.negative?
      until_then = now + left / 1000.0
      while left > SLICE_MS
        yield SLICE_MS
        left = ((until_then - now) * 1000).ceil
      end
      yield [left, 0].max
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    # Calls a C function with an out_json; reads and frees that.
    def run
      out = FFI::MemoryPointer.new(:pointer)
      begin
        status = yield(out)
        read(status, out.read_pointer.read_string)
      ensure
        # Also if Timeout.timeout ends this thread's work just as the function returns.
        Native.trophy_string_free(out.read_pointer)
      end
    end

    def call(&block)
      success(*run(&block))
    end

    def success(status, reply, also = Native::OK)
      raise Error.new(status, reply[:error]) unless [Native::OK, also].include?(status)

      reply
    end

    def invalid(message)
      error(Native::INVALID_ARGUMENT, "invalid_argument", message)
    end

    def error(status, code, message)
      Error.new(status, { code: code, message: message })
    end

    # As Ruby reports what ends a thread.
    def report(error)
      warn "a callback of trophy raised: #{error.full_message(highlight: false)}"
    end
  end
  private_constant :Wire
end
