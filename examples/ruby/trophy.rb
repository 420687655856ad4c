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

  # A client: its connections, its threads, its queue. One for a process is enough.
  #
  # Options are those of trophy.h: Client.new(timeout_in_seconds: 10, queue: { path: "/var/lib/app/trophy" }).
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
      @listener = Listener.new
      @handle = Handle.open(@listener) do |out, json|
        Native.trophy_client_new(Wire.text(:api_key, api_key), Wire.json(options), out, json)
      end
      @is_tenant = false
    end

    # The main job: one event, three ways. What else is given is a request option: timeout_in_seconds: 2.

    # Adds `value` to the user's metric, waits for the reply, and returns it: achievements, streak, points.
    def event(metric, user, value = 1, attributes: nil, idempotency_key: nil, **options)
      arguments = Wire.event(metric, user, value, attributes, idempotency_key, options)
      @handle.call { |client, out| Native.trophy_metrics_event(client, *arguments, out) }
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

    # Waits until the queue is empty, at most `timeout` seconds; returns how many events are left.
    def flush(timeout = nil)
      @handle.undelivered { |client, out| Native.trophy_client_flush(client, Wire.milliseconds(timeout), out) }
    end

    # Calls the block with a Delivery for each event that left the queue, on a thread of its own. No block: nobody
    # hears.
    def on_delivery(&block)
      @handle.use { |client| @listener.hear(client, block) }
      nil
    end

    # Every operation, by its name; its parameters, `body` and `options` are the arguments.

    # client.call(:users_streak, id: "18", historyPeriods: 14)
    def call(operation, **args)
      operation = Wire.text(:operation, operation)
      args = Wire.json(args)
      @handle.call { |client, out| Native.trophy_call(client, operation, args, out) }
    end

    def call_async(operation, **args, &done)
      operation = Wire.text(:operation, operation)
      args = Wire.json(args)
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
      call(:users_get, id: user_id.to_s, **args)
    end

    def streak(user_id, **args)
      call(:users_streak, id: user_id.to_s, **args)
    end

    def achievements(user_id, **args)
      call(:users_achievements, id: user_id.to_s, **args)
    end

    def complete_achievement(key, user, **args)
      call(:achievements_complete, key: key, body: { user: Wire.user(user) }, **args)
    end

    def metric(user_id, key, **args)
      call(:users_single_metric, id: user_id.to_s, key: key, **args)
    end

    def points(user_id, key, **args)
      call(:users_points, id: user_id.to_s, key: key, **args)
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
        Handle.open(@listener) { |out, json| Native.trophy_client_for_tenant(client, tenant_id, out, json) }
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

    # Runs ready callbacks on this thread, for callbacks: "dispatch"; nil waits for the first for ever.
    def dispatch(timeout = 0)
      @handle.use { |client| Native.trophy_client_dispatch(client, Wire.milliseconds(timeout)) }
    end

    # Delivers what is queued, for at most `timeout` seconds, and ends the client; again, it does nothing. Returns
    # how many events are left: they stay on disk if the queue has a path, else they are lost.
    def close(timeout = 5)
      return 0 if @handle.closed?

      left = @is_tenant ? 0 : @handle.close_client(Wire.milliseconds(timeout))
      @handle.close
      left
    end

    protected

    def become_tenant(handle)
      @handle = handle
      @is_tenant = true
      self
    end
  end

  # The reply of an asynchronous call, to come.
  class Promise
    def self.start(handle, done)
      promise = new(handle, done)
      promise.send(:start) { |*arguments| yield(*arguments) }
      promise
    end
    private_class_method :new

    def initialize(handle, done)
      @handle = handle
      @done = done
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

    def start
      @number = Waiting.add(true) { |status, reply| finish(status, reply) }
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
    TIMEOUT = 11
    LEVELS = { error: 1, warn: 2, info: 3, debug: 4 }.freeze

    begin
      ffi_lib ENV["TROPHY_LIBRARY"] || %w[libtrophy.so.1 libtrophy.1.dylib trophy]
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

    def self.add(is_once, &block)
      @mutex.synchronize do
        @blocks[@last += 1] = [block, is_once]
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
      block, = @mutex.synchronize { @blocks[number]&.last ? @blocks.delete(number) : @blocks[number] }
      was_inside = inside?
      Thread.current.thread_variable_set(:trophy_callback, true)
      block&.call(status, Wire.parse(text))
    rescue Exception => error # none may leave into C
      Wire.report(error)
    ensure
      Thread.current.thread_variable_set(:trophy_callback, was_inside)
    end
  end
  private_constant :Waiting

  # Who hears of deliveries: one for all handles of a client.
  class Listener
    def initialize
      @mutex = Mutex.new
      @number = 0
    end

    def hear(client, block)
      @mutex.synchronize do
        number = block ? Waiting.add(false) { |status, reply| block.call(delivery(status, reply)) } : 0
        Native.trophy_client_on_delivery(client, block ? Native.done : nil, number)
        Waiting.remove(@number)
        @number = number
      end
    end

    # A forked child has a callback of its own.
    def hear_again(client)
      @mutex.synchronize do
        Native.trophy_client_on_delivery(client, Native.done, @number) unless @number.zero?
      end
    end

    def forget
      @mutex.synchronize { Waiting.remove(@number) }
    end

    private

    def delivery(status, reply)
      error = Error.new(status, reply[:error]) if reply[:error]
      Delivery.new(idempotency_key: reply[:idempotencyKey], metric: reply[:key], user_id: reply[:userId],
                   response: reply[:response], error: error)
    end
  end
  private_constant :Listener

  # A trophy_client*, freed by whoever uses it last: never under a thread that is still in a call. If nobody closes it,
  # the garbage collector frees it.
  class Handle < FFI::AutoPointer
    @alive = ObjectSpace::WeakMap.new

    class << self
      def open(listener)
        out = FFI::MemoryPointer.new(:pointer)
        Wire.call { |json| yield(out, json) }
        handle = new(out.read_pointer, listener)
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

    def initialize(pointer, listener)
      super(pointer)
      @listener = listener
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

    # The same, for flush and close.
    def undelivered
      use do |client|
        status, reply = Wire.run { |out| yield(client, out) }
        raise Error.new(status, reply[:error]) unless [Native::OK, Native::TIMEOUT].include?(status)

        reply[:undelivered]
      end
    end

    def close_client(milliseconds)
      if Waiting.inside?
        # The library sees only that another thread closes it, and would wait for this callback.
        raise Wire.error(Native::INVALID_ARGUMENT, "invalid_argument",
                         "close: not from inside a callback, which it would wait for; return first")
      end
      left = undelivered { |client, out| Native.trophy_client_close(client, milliseconds, out) }
      @listener.forget
      left
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
      if !@closed && @pid == Process.pid
        Wire.run { |out| Native.trophy_client_close(self, 0, out) }
        close
      end
      self.autorelease = false
    end

    private

    def renew
      @pid = Process.pid
      @listener.hear_again(self)
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

    def event(metric, user, value, attributes, idempotency_key, options)
      [text(:key, metric), json(user(user)), value, attributes && json(attributes),
       text(:idempotency_key, idempotency_key), json(options)]
    end

    def user(user)
      user.is_a?(Hash) ? user.transform_keys(&:to_sym) : { id: user.to_s }
    end

    def text(name, value)
      return if value.nil?

      text = value.to_s.encode(Encoding::UTF_8)
      # C would read no further.
      raise error(Native::INVALID_ARGUMENT, "invalid_argument", "#{name}: must not hold U+0000") if text.include?("\0")

      text
    rescue EncodingError, ArgumentError => problem
      raise error(Native::INVALID_ARGUMENT, "invalid_argument", "#{name}: #{problem.message}")
    end

    def json(value)
      JSON.generate(value)
    rescue JSON::GeneratorError, EncodingError => problem
      raise error(Native::INVALID_ARGUMENT, "invalid_argument", "an argument is no JSON: #{problem.message.dup.force_encoding(Encoding::UTF_8).scrub}")
    end

    def parse(text)
      JSON.parse(text.force_encoding(Encoding::UTF_8), symbolize_names: true)
    end

    def milliseconds(timeout)
      timeout ? [(timeout * 1000).to_i, 0].max : -1
    end

    # Calls a C function with an out_json; reads and frees that.
    def run
      out = FFI::MemoryPointer.new(:pointer)
      begin
        status = yield(out)
        [status, parse(out.read_pointer.read_string)]
      ensure
        # Also if Timeout.timeout ends this thread's work just as the function returns.
        Native.trophy_string_free(out.read_pointer)
      end
    end

    def call(&block)
      status, reply = run(&block)
      raise Error.new(status, reply[:error]) unless status == Native::OK

      reply
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
