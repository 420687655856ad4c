-- libtrophy for LuaJIT.
--
-- Every call returns its reply as Lua values, or nil and an error: a table with code, message, status, http_status,
-- retry_after_ms, attempts and body, which prints as text. So assert(client:event(...)) raises it. What cannot be sent
-- is such an error, too.
--
-- LuaJIT cannot be called from a thread that is not its own, so the client is always in dispatch mode: callbacks run
-- inside client:dispatch() and client:close(), on the thread that calls them, and after C has returned: they may do
-- anything.

local ffi = require("ffi")
local json = require("trophy_json")

-- user_data is a number here: it is never a pointer, so nothing can dangle.
ffi.cdef([[
typedef struct trophy_client trophy_client;
typedef void (*trophy_callback)(int32_t status, const char *json, uintptr_t user_data);
const char *trophy_version(void);
const char *trophy_status_name(int32_t status);
void trophy_string_free(char *string);
int32_t trophy_client_new(const char *api_key, const char *options_json, trophy_client **out_client, char **out_json);
int32_t trophy_client_for_tenant(const trophy_client *client, const char *tenant_id, trophy_client **out_client,
	char **out_json);
size_t trophy_client_dispatch(const trophy_client *client, int64_t timeout_ms);
size_t trophy_client_cancel(const trophy_client *client, uintptr_t user_data);
int32_t trophy_client_stats(const trophy_client *client, char **out_json);
int32_t trophy_client_close(const trophy_client *client, int64_t timeout_ms, char **out_json);
void trophy_client_free(trophy_client *client);
int32_t trophy_client_set_api_key(const trophy_client *client, const char *api_key, char **out_json);
int32_t trophy_metrics_event(const trophy_client *client, const char *key, const char *user_json, double value,
	const char *attributes_json, const char *idempotency_key, const char *options_json, char **out_json);
int32_t trophy_metrics_event_async(const trophy_client *client, const char *key, const char *user_json, double value,
	const char *attributes_json, const char *idempotency_key, const char *options_json, trophy_callback callback,
	uintptr_t user_data, char **out_json);
int32_t trophy_metrics_event_enqueue(const trophy_client *client, const char *key, const char *user_json, double value,
	const char *attributes_json, const char *idempotency_key, const char *options_json, char **out_json);
int32_t trophy_client_flush(const trophy_client *client, int64_t timeout_ms, char **out_json);
void trophy_client_on_delivery(const trophy_client *client, trophy_callback callback, uintptr_t user_data);
int32_t trophy_call(const trophy_client *client, const char *operation, const char *args_json, char **out_json);
int32_t trophy_call_async(const trophy_client *client, const char *operation, const char *args_json,
	trophy_callback callback, uintptr_t user_data, char **out_json);
int32_t trophy_webhook_verify(const char *body, size_t body_length, const char *signature, const char *secret,
	char **out_json);
]])

local NAMES = { OSX = "libtrophy.1.dylib", Windows = "trophy.dll" }
local C = ffi.load(os.getenv("TROPHY_LIBRARY") or NAMES[ffi.os] or "libtrophy.so.1")

local OK, INVALID_ARGUMENT, CLOSED, CANCELLED, TIMEOUT, INVALID_RESPONSE = 0, 1, 2, 3, 11, 13
local SLICE_MS = 100 -- how long a wait in C is deaf to Ctrl-C

local trophy = { json = json, null = json.null, version = ffi.string(C.trophy_version()) }

-- ---- Errors ------------------------------------------------------------------------------------------------------

local error_mt = { __tostring = function(e) return e.code .. ": " .. e.message end }

local function own_error(status, message)
	return setmetatable({ status = status, code = ffi.string(C.trophy_status_name(status)), message = message }, error_mt)
end

local function invalid(message) return own_error(INVALID_ARGUMENT, message) end

--- What a pcall of JSON's caught, unless it is of others: Ctrl-C is an error that may be raised anywhere.
local function json_problem(problem)
	if type(problem) ~= "string" or problem:find("interrupted!$") then error(problem, 0) end
	return problem
end

--- A reply as Lua's values, or nil and an error: JSON may be nested more deeply than Lua's stack.
local function decode(text)
	local ok, value = pcall(json.decode, text)
	if not ok then
		return nil, own_error(INVALID_RESPONSE, "the reply cannot be read in Lua: " .. json_problem(value))
	end
	return value
end

local function failure(status, text)
	local reply, unreadable = decode(text or "{}")
	if unreadable then return unreadable end
	local told = reply.error or {}
	return setmetatable({
		status = status,
		code = told.code or ffi.string(C.trophy_status_name(status)),
		message = told.message or "no more is known",
		http_status = told.httpStatus,
		retry_after_ms = told.retryAfterMs,
		attempts = told.attempts,
		body = told.body,
	}, error_mt)
end

local function result(status, text)
	if status ~= OK then return nil, failure(status, text) end
	if text then return decode(text) end
end

--- The status and text that a C call gave. Frees the text.
local function taken(status, out)
	local text = out[0] ~= nil and ffi.string(out[0]) or nil
	C.trophy_string_free(out[0])
	return status, text
end

--- What a C call gave: the reply, or nil and the error.
local function outcome(status, out) return result(taken(status, out)) end

local function out_json() return ffi.new("char *[1]") end

--- Values as JSON text: as_json("user", user, "attributes", attributes, ...). nil stays nil, which is NULL. Gives an
--- array of them, or nil and an error.
local function as_json(...)
	local texts = {}
	for i = 1, select("#", ...), 2 do
		local name, value = select(i, ...)
		if value ~= nil then
			local ok, text = pcall(json.encode, value)
			if not ok then return nil, invalid(name .. ": " .. json_problem(text)) end
			texts[(i + 1) / 2] = text
		end
	end
	return texts
end

--- check_texts("key", key, ...): C would read no further than a U+0000. What is no UTF-8 the library refuses.
local function check_texts(...)
	for i = 1, select("#", ...), 2 do
		local name, text = select(i, ...)
		if text ~= nil and type(text) ~= "string" then
			return invalid(name .. ": must be a string, not a " .. type(text))
		end
		if text ~= nil and text:find("\0", 1, true) then return invalid(name .. ": must not hold U+0000") end
	end
end

local function check_callback(callback)
	if type(callback) ~= "function" then
		return invalid("callback: must be a function, not a " .. type(callback))
	end
end

--- A time in milliseconds, negative for ever; or nil and an error.
local function check_time(timeout_ms)
	if type(timeout_ms) ~= "number" or timeout_ms ~= timeout_ms then
		return nil, invalid("timeout_ms: must be a number, not " .. tostring(timeout_ms))
	end
	return timeout_ms == math.huge and -1 or math.ceil(timeout_ms)
end

-- ---- Callbacks: one for all, since LuaJIT has room for few ---------------------------------------------------------

-- By user_data: { callback =, shared =, lasts = }; without a callback, a call that blocks. It is weak, and the clients
-- hold theirs in `shared`: a callback that holds its client does not keep both for ever.
local waiting = setmetatable({}, { __mode = "v" })
local last_id = 0

local function remember(callback, shared, lasts)
	last_id = last_id + 1
	local who = { callback = callback, shared = shared, lasts = lasts }
	waiting[last_id], shared.waiting[last_id] = who, who
	return last_id, who
end

local function forget(shared, id) waiting[id], shared.waiting[id] = nil, nil end

local function note(status, text, id)
	local who = waiting[id]
	if not who then return end
	if not who.lasts then forget(who.shared, id) end
	text = ffi.string(text)
	if who.callback then
		local due = who.shared.due
		due[#due + 1] = { who, status, text }
	else
		who.status, who.text = status, text
	end
end

local is_inside = false

-- It runs inside C, which no error may cross: it only takes notes.
local on_event = ffi.cast("trophy_callback", function(status, text, user_data)
	is_inside = true
	note(status, text, tonumber(user_data))
	is_inside = false
end)

local several_mt = {
	__tostring = function(several)
		local texts = {}
		for i, problem in ipairs(several.errors) do texts[i] = tostring(problem) end
		return #texts .. " callbacks raised errors: " .. table.concat(texts, "; ")
	end,
}

local function run(who, status, text)
	local reply, problem = result(status, text)
	if who.lasts and not reply then reply = decode(text) or {} end
	who.callback(reply, problem)
end

--- Runs the callbacks that are due; those that come meanwhile are for the next time. How many. An error that one of
--- them raised is raised when all have run; of several, a table with all in `errors`.
local function run_due(shared)
	local due = shared.due
	shared.due = {}
	local errors = {}
	for _, each in ipairs(due) do
		local ok, problem = pcall(run, unpack(each))
		if not ok then errors[#errors + 1] = problem == nil and "nil" or problem end
	end
	if #errors == 1 then error(errors[1], 0) end
	if #errors > 1 then error(setmetatable({ errors = errors }, several_mt), 0) end
	return #due
end

-- ---- The client --------------------------------------------------------------------------------------------------

local Client = {}
Client.__index = Client

ffi.cdef([[
int trophy_sigprocmask(int how, const void *set, void *before) __asm__("sigprocmask");
int trophy_sigemptyset(void *set) __asm__("sigemptyset");
int trophy_sigaddset(void *set, int signal) __asm__("sigaddset");
]])
local BLOCK, SET = ffi.os == "Linux" and 0 or 1, ffi.os == "Linux" and 2 or 3
local ctrl_c = ffi.new("uint64_t[16]")
if ffi.os ~= "Windows" then
	ffi.C.trophy_sigemptyset(ctrl_c)
	ffi.C.trophy_sigaddset(ctrl_c, 2)
end

local function call_without_ctrl_c(call, ...)
	ffi.C.trophy_sigprocmask(BLOCK, ctrl_c, nil)
	return call(...)
end

--- Calls what may call back. Ctrl-C waits meanwhile: LuaJIT would raise its error in the callback, and it may not
--- cross C.
local function call_back_from(call, ...)
	if ffi.os == "Windows" then return call(...) end
	local before = ffi.new("uint64_t[16]")
	ffi.C.trophy_sigprocmask(BLOCK, nil, before)
	local ok, result_or_problem = pcall(call_without_ctrl_c, call, ...)
	ffi.C.trophy_sigprocmask(SET, before, nil)
	if not ok then error(result_or_problem, 0) end
	return result_or_problem
end
-- A compiled C call may not call back into Lua; these do.
jit.off(call_without_ctrl_c)
jit.off(call_back_from)

local collected = {}

local function free(handle)
	if is_inside then
		-- The collector came to it inside a callback, where the library frees nothing.
		collected[#collected + 1] = handle
	else
		call_back_from(C.trophy_client_free, handle)
	end
end

local function free_collected()
	while #collected > 0 do free(table.remove(collected)) end
end

local function adopt(status, out_client, out, shared, is_tenant)
	local _, problem = outcome(status, out)
	if problem then return nil, problem end
	return setmetatable({ handle = ffi.gc(out_client[0], free), shared = shared, is_tenant = is_tenant }, Client)
end

--- A client. `api_key` nil: the variable TROPHY_API_KEY. `options`: the client options of trophy.h, as a table.
function trophy.new(api_key, options)
	local all = {}
	if options ~= nil and type(options) ~= "table" then
		return nil, invalid("options: must be a table, not a " .. type(options))
	end
	for name, value in pairs(options or {}) do all[name] = value end
	if all.callbacks ~= nil and all.callbacks ~= "dispatch" then
		return nil, invalid('options: "callbacks" can only be "dispatch" in LuaJIT')
	end
	all.callbacks = "dispatch"
	local problem = check_texts("api_key", api_key)
	if problem then return nil, problem end
	local texts, unwritable = as_json("options", all)
	if not texts then return nil, unwritable end
	local out, out_client = out_json(), ffi.new("trophy_client *[1]")
	return adopt(C.trophy_client_new(api_key, texts[1], out_client, out), out_client, out, { due = {}, waiting = {} })
end

--- Checks a webhook's signature. The body's value, or nil and an error of code "invalid_signature".
function trophy.verify_webhook(body, signature, secret)
	local problem = check_texts("signature", signature, "secret", secret)
	if not problem and type(body) ~= "string" then problem = invalid("body: must be a string, not a " .. type(body)) end
	if problem then return nil, problem end
	local out = out_json()
	return outcome(C.trophy_webhook_verify(body, #body, signature, secret, out), out)
end

local function closed(self)
	if not self.handle then return own_error(CLOSED, "this client is closed: make another with trophy.new()") end
end

--- A second handle on the same client, whose calls are for a tenant. Its close() lets go of it only.
function Client:for_tenant(tenant_id)
	local problem = closed(self) or check_texts("tenant_id", tenant_id)
	if problem then return nil, problem end
	local out, out_client = out_json(), ffi.new("trophy_client *[1]")
	return adopt(C.trophy_client_for_tenant(self.handle, tenant_id, out_client, out), out_client, out, self.shared, true)
end

--- The due callbacks of C's: it notes them.
local function dispatch_in_c(self, timeout_ms)
	call_back_from(C.trophy_client_dispatch, self.handle, timeout_ms)
	free_collected()
end

--- Begins an asynchronous call: start(id, out) calls C. Gives its number and who waits, or nil and an error.
local function begin(self, callback, start)
	local out, id, who = out_json(), remember(callback, self.shared)
	local _, problem = outcome(start(id, out), out)
	if problem then
		forget(self.shared, id)
		return nil, problem
	end
	return id, who
end

--- A call that blocks: an asynchronous one, which an error raised meanwhile (Ctrl-C) cancels.
local function await(self, start)
	local id, who = begin(self, nil, start)
	if not id then return nil, who end
	local ok, problem = pcall(function()
		-- The callbacks of others wait for their dispatch().
		while not who.status do dispatch_in_c(self, SLICE_MS) end
	end)
	if not ok then
		forget(self.shared, id)
		self:cancel(id)
		error(problem, 0)
	end
	return result(who.status, who.text)
end

ffi.cdef("typedef struct { long seconds, nanoseconds; } trophy_time; int clock_gettime(int clock, trophy_time *time);")

local function now_ms()
	if ffi.os == "Windows" then return os.time() * 1000 end
	local time = ffi.new("trophy_time")
	ffi.C.clock_gettime(ffi.os == "OSX" and 6 or 1, time)
	return tonumber(time.seconds) * 1000 + tonumber(time.nanoseconds) / 1e6
end

--- Waits in pieces of a time, negative for ever, until is_done(slice_ms): between two of them Lua hears Ctrl-C.
local function slices(timeout_ms, is_done)
	local deadline = now_ms() + timeout_ms
	repeat
		local left = timeout_ms < 0 and SLICE_MS or math.max(0, math.ceil(deadline - now_ms()))
	until is_done(math.min(left, SLICE_MS)) or left == 0
end

--- The arguments of an event, as C takes them: an array of six, or nil and an error. `user` is an id or a table; `more`
--- may have attributes, idempotency_key and options.
local function event_arguments(self, key, user, value, more)
	if type(user) == "string" then user = { id = user } end
	local problem = closed(self)
	if not problem and more ~= nil and type(more) ~= "table" then
		problem = invalid("more: must be a table, not a " .. type(more))
	end
	if problem then return nil, problem end
	more = more or {}
	-- A name that is not known is a mistake, such as of an idempotency key: without it an event may count twice.
	for name in pairs(more) do
		if name ~= "attributes" and name ~= "idempotency_key" and name ~= "options" then
			return nil, invalid("more: " .. tostring(name) .. " is not known here; there is attributes, idempotency_key, options")
		end
	end
	problem = check_texts("key", key, "idempotency_key", more.idempotency_key)
	if not problem and type(value) ~= "number" then
		problem = invalid("value: must be a number, not a " .. type(value))
	end
	if problem then return nil, problem end
	local texts, unwritable = as_json("user", user, "attributes", more.attributes, "options", more.options)
	if not texts then return nil, unwritable end
	return { key, texts[1], value, texts[2], more.idempotency_key, texts[3] }
end

local function start_event(self, a)
	return function(id, out)
		return C.trophy_metrics_event_async(self.handle, a[1], a[2], a[3], a[4], a[5], a[6], on_event, id, out)
	end
end

--- Sends an event and waits for its reply.
function Client:event(key, user, value, more)
	local arguments, problem = event_arguments(self, key, user, value, more)
	if not arguments then return nil, problem end
	return await(self, start_event(self, arguments))
end

--- Puts an event into the queue, which delivers it. { idempotencyKey = "..." }
function Client:enqueue(key, user, value, more)
	local a, problem = event_arguments(self, key, user, value, more)
	if not a then return nil, problem end
	local out = out_json()
	return outcome(C.trophy_metrics_event_enqueue(self.handle, a[1], a[2], a[3], a[4], a[5], a[6], out), out)
end

--- Sends an event; callback(reply, error) runs once, inside dispatch(). Gives a number for cancel().
function Client:event_async(key, user, value, more, callback)
	local arguments, problem = event_arguments(self, key, user, value, more)
	problem = problem or check_callback(callback)
	if problem then return nil, problem end
	local id, refused = begin(self, callback, start_event(self, arguments))
	if not id then return nil, refused end
	return id
end

local function start_call(self, operation, args)
	local problem = closed(self) or check_texts("operation", operation)
	if problem then return nil, problem end
	local texts, unwritable = as_json("args", args)
	if not texts then return nil, unwritable end
	return function(id, out)
		return C.trophy_call_async(self.handle, operation, texts[1], on_event, id, out)
	end
end

--- Calls any operation by its name: client:call("users_streak", { id = "18" }).
function Client:call(operation, args)
	local start, problem = start_call(self, operation, args)
	if not start then return nil, problem end
	return await(self, start)
end

--- Calls any operation; callback(reply, error) runs once, inside dispatch(). Gives a number for cancel().
function Client:call_async(operation, args, callback)
	local start, problem = start_call(self, operation, args)
	problem = problem or check_callback(callback)
	if problem then return nil, problem end
	local id, refused = begin(self, callback, start)
	if not id then return nil, refused end
	return id
end

--- Ends an asynchronous call: its callback runs once, with code "cancelled" or with the reply. How many it ended.
function Client:cancel(id)
	if type(id) ~= "number" then return nil, invalid("id: must be a number, not a " .. type(id)) end
	if not self.handle then return 0 end
	return tonumber(C.trophy_client_cancel(self.handle, id))
end
jit.off(Client.cancel)

--- Runs the callbacks that are ready; waits up to `timeout_ms` (0) for the first, negative for ever. How many ran. An
--- error that one of them raised is raised here, when all have run; of several, a table with all in `errors`.
function Client:dispatch(timeout_ms)
	local problem, time = closed(self), nil
	if not problem then time, problem = check_time(timeout_ms or 0) end
	if problem then return nil, problem end
	slices(time, function(slice_ms)
		dispatch_in_c(self, #self.shared.due == 0 and slice_ms or 0)
		return #self.shared.due > 0 or self.shared.is_closed
	end)
	return run_due(self.shared)
end

--- Sets callback(delivery, error), which hears how each queued event ended; nil: nobody hears.
function Client:on_delivery(callback)
	local problem = closed(self) or callback ~= nil and check_callback(callback)
	if problem then return nil, problem end
	local before = self.shared.delivery
	if callback then
		self.shared.delivery = remember(callback, self.shared, true)
		C.trophy_client_on_delivery(self.handle, on_event, self.shared.delivery)
	else
		self.shared.delivery = nil
		C.trophy_client_on_delivery(self.handle, nil, 0)
	end
	if before then forget(self.shared, before) end
	return true
end
jit.off(Client.on_delivery)

--- { undelivered =, cancelled = } of a flush or a close, or nil and an error.
local function ending(status, text)
	if status == CANCELLED then return nil, own_error(status, "flush: the client was closed meanwhile") end
	return result(status == TIMEOUT and OK or status, text)
end

local function flush_in_c(self, timeout_ms)
	local out = out_json()
	return ending(taken(C.trophy_client_flush(self.handle, timeout_ms, out), out))
end

--- Waits until the queue is delivered, or the time has passed; nil or negative waits for ever. { undelivered = n }
function Client:flush(timeout_ms)
	local problem, time = closed(self), nil
	if not problem then time, problem = check_time(timeout_ms or -1) end
	if problem then return nil, problem end
	local left
	slices(time, function(slice_ms)
		left, problem = flush_in_c(self, slice_ms)
		return not left or left.undelivered == 0
	end)
	return left, problem
end

--- What the client has done and has to do, as numbers.
function Client:stats()
	local problem = closed(self)
	if problem then return nil, problem end
	local out = out_json()
	return outcome(C.trophy_client_stats(self.handle, out), out)
end

--- Changes the API key, after it was rotated.
function Client:set_api_key(api_key)
	local problem = closed(self) or check_texts("api_key", api_key)
	if problem then return nil, problem end
	local out = out_json()
	return outcome(C.trophy_client_set_api_key(self.handle, api_key, out), out)
end

local function close_in_c(self)
	local out = out_json()
	local left = ending(taken(call_back_from(C.trophy_client_close, self.handle, 0, out), out))
	self.shared.is_closed = true
	return left
end

local function let_go(self)
	local handle = self.handle
	self.handle = nil
	free(ffi.gc(handle, nil))
	free_collected()
end

--- Ends the client: delivers what is queued and waits for calls, for up to `timeout_ms` (2,000), negative for ever,
--- cancels those that are left, runs the callbacks that are left, frees this handle. Of a tenant's handle it only lets
--- go. Again is fine. { undelivered = events in the queue, cancelled = calls }
function Client:close(timeout_ms)
	local time, problem = check_time(timeout_ms or 2000)
	if problem then return nil, problem end
	if not self.handle or self.is_tenant then
		if self.handle then let_go(self) end
		-- What a close that was interrupted has left.
		if not self.is_tenant then run_due(self.shared) end
		return { undelivered = 0, cancelled = 0 }
	end
	local ok, raised = pcall(slices, time, function(slice_ms)
		local left = flush_in_c(self, slice_ms)
		local stats = self:stats()
		local is_empty = not left or left.undelivered == 0
		local is_idle = stats.callsUnderWay + stats.callsWaiting == 0
		dispatch_in_c(self, is_empty and not is_idle and slice_ms or 0)
		return is_empty and is_idle
	end)
	local left = close_in_c(self)
	let_go(self)
	if self.shared.delivery then forget(self.shared, self.shared.delivery) end
	-- Ctrl-C.
	if not ok then error(raised, 0) end
	run_due(self.shared)
	return left
end

--- Calls an operation with what its function was given, and `more`, which may be nil.
local function call_with(self, operation, args, more)
	if more ~= nil and type(more) ~= "table" then
		return nil, invalid("args: must be a table, not a " .. type(more))
	end
	local all = {}
	for name, value in pairs(more or {}) do all[name] = value end
	for name, value in pairs(args) do all[name] = value end
	return self:call(operation, all)
end

--- A user's streak. `args`: historyPeriods, options.
function Client:streak(user_id, args) return call_with(self, "users_streak", { id = user_id }, args) end

--- Creates a user, or changes the one there is: { email = ..., name = ..., tz = ..., attributes = {...} }.
function Client:identify(user_id, user)
	return self:call("users_identify", { id = user_id, body = user })
end

--- A user's achievements. `args`: includeIncomplete, options.
function Client:achievements(user_id, args)
	return call_with(self, "users_achievements", { id = user_id }, args)
end

--- Marks an achievement as completed by a user (an id, or a table).
function Client:complete_achievement(key, user)
	if type(user) == "string" then user = { id = user } end
	return self:call("achievements_complete", { key = key, body = { user = user } })
end

--- A leaderboard with its rankings. `args`: offset, limit, run, userId, userAttributes, options.
function Client:leaderboard(key, args) return call_with(self, "leaderboards_get", { key = key }, args) end

trophy.Client = Client
return trophy
