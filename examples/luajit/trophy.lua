-- libtrophy for LuaJIT.
--
-- Every call returns its reply as Lua values, or nil and an error: a table with code, message, status, http_status,
-- retry_after_ms, attempts and body, which prints as text. So assert(client:event(...)) raises it.
--
-- LuaJIT cannot be called from a thread that is not its own, so the client is always in dispatch mode: callbacks run
-- inside client:dispatch() and client:close(), on the thread that calls them.

local ffi = require("ffi")
local json = require("json")

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

local OK, INVALID_ARGUMENT, CLOSED, TIMEOUT = 0, 1, 2, 11

local trophy = { json = json, null = json.null, version = ffi.string(C.trophy_version()) }

-- ---- Errors ------------------------------------------------------------------------------------------------------

local error_mt = { __tostring = function(e) return e.code .. ": " .. e.message end }

local function failure(status, text)
	local told = text and json.decode(text).error or {}
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

local function invalid(message)
	return failure(INVALID_ARGUMENT, json.encode({ error = { code = "invalid_argument", message = message } }))
end

--- What a C call gave: the reply, or nil and the error. Frees the text, whichever it is.
local function outcome(status, out)
	local text = out[0] ~= nil and ffi.string(out[0]) or nil
	C.trophy_string_free(out[0])
	if status ~= OK then return nil, failure(status, text) end
	return text and json.decode(text)
end

local function out_json() return ffi.new("char *[1]") end

--- A value as JSON text; nil stays nil, which is NULL. Text with U+0000 would be cut in C, so it is refused.
local function as_json(value)
	if value == nil then return nil end
	return json.encode(value)
end

local function check_texts(...)
	for i = 1, select("#", ...) do
		local text = select(i, ...)
		if text ~= nil and (type(text) ~= "string" or text:find("\0", 1, true)) then
			return invalid("argument " .. i .. " must be a string without U+0000, not a " .. type(text))
		end
	end
end

-- ---- Callbacks: one for all, since LuaJIT has room for few ---------------------------------------------------------

local waiting = {} -- user_data → callback
local lasting = {} -- those that are called more than once, by user_data
local last_id = 0
local raised -- the first error a callback raised: it may not cross C, so dispatch() raises it afterwards

local function remember(callback, lasts)
	last_id = last_id + 1
	waiting[last_id] = callback
	lasting[last_id] = lasts
	return last_id
end

local function forget(id)
	waiting[id] = nil
	lasting[id] = nil
end

local function run(status, text, user_data)
	local id = tonumber(user_data)
	local callback = waiting[id]
	local lasts = lasting[id]
	if not lasts then waiting[id] = nil end
	if not callback then return end
	if lasts then
		local told = json.decode(text)
		callback(told, status ~= OK and failure(status, text) or nil)
	elseif status == OK then
		callback(json.decode(text))
	else
		callback(nil, failure(status, text))
	end
end

local on_event = ffi.cast("trophy_callback", function(status, text, user_data)
	local ok, problem = pcall(run, status, ffi.string(text), user_data)
	if not ok and raised == nil then raised = { problem } end
end)

local function raise_what_callbacks_raised()
	if raised then
		local problem = raised[1]
		raised = nil
		error(problem, 0)
	end
end

-- ---- The client --------------------------------------------------------------------------------------------------

local Client = {}
Client.__index = Client

local function free(handle) C.trophy_client_free(handle) end
-- A compiled C call may not call back into Lua; these do.
jit.off(free)

local function adopt(status, out_client, out, shared)
	local _, problem = outcome(status, out)
	if problem then return nil, problem end
	return setmetatable({ handle = ffi.gc(out_client[0], free), shared = shared }, Client)
end

--- A client. `api_key` nil: the variable TROPHY_API_KEY. `options`: the client options of trophy.h, as a table.
function trophy.new(api_key, options)
	local all = {}
	for name, value in pairs(options or {}) do all[name] = value end
	if all.callbacks ~= nil and all.callbacks ~= "dispatch" then
		return nil, invalid('options: "callbacks" can only be "dispatch" in LuaJIT')
	end
	all.callbacks = "dispatch"
	local problem = check_texts(api_key)
	if problem then return nil, problem end
	local out, out_client = out_json(), ffi.new("trophy_client *[1]")
	return adopt(C.trophy_client_new(api_key, as_json(all), out_client, out), out_client, out, {})
end

--- Checks a webhook's signature. The body's value, or nil and an error of code "invalid_signature".
function trophy.verify_webhook(body, signature, secret)
	local problem = check_texts(signature, secret)
	if problem then return nil, problem end
	local out = out_json()
	return outcome(C.trophy_webhook_verify(body, #body, signature, secret, out), out)
end

local CLOSED_ERROR = '{"error":{"code":"closed","message":"this client is closed: make another with trophy.new()"}}'

local function closed(self)
	if not self.handle then return failure(CLOSED, CLOSED_ERROR) end
end

--- A second handle on the same client, whose calls are for a tenant.
function Client:for_tenant(tenant_id)
	local problem = closed(self) or check_texts(tenant_id)
	if problem then return nil, problem end
	local out, out_client = out_json(), ffi.new("trophy_client *[1]")
	return adopt(C.trophy_client_for_tenant(self.handle, tenant_id, out_client, out), out_client, out, self.shared)
end

--- Calls the C function with an event's arguments. `user` is an id or a table; `more` may have attributes,
--- idempotency_key and options.
local function event(self, send, key, user, value, more, ...)
	more = more or {}
	if type(user) == "string" then user = { id = user } end
	local problem = closed(self) or check_texts(key, more.idempotency_key)
	if not problem and type(value) ~= "number" then problem = invalid("value must be a number") end
	if problem then return nil, problem end
	local out = out_json()
	-- The last of a call's arguments is out_json; before it, if there are any, come the callback's two.
	local arguments = { ... }
	arguments[#arguments + 1] = out
	return outcome(send(self.handle, key, as_json(user), value, as_json(more.attributes), more.idempotency_key,
		as_json(more.options), unpack(arguments)), out)
end

--- Sends an event and waits for its reply.
function Client:event(key, user, value, more)
	return event(self, C.trophy_metrics_event, key, user, value, more)
end

--- Puts an event into the queue, which delivers it. { idempotencyKey = "..." }
function Client:enqueue(key, user, value, more)
	return event(self, C.trophy_metrics_event_enqueue, key, user, value, more)
end

--- Sends an event; callback(reply, error) runs once, inside dispatch(). Gives a number for cancel().
function Client:event_async(key, user, value, more, callback)
	local id = remember(callback)
	local _, problem = event(self, C.trophy_metrics_event_async, key, user, value, more, on_event, id)
	if problem then forget(id) return nil, problem end
	return id
end

--- Calls any operation by its name: client:call("users_streak", { id = "18" }).
function Client:call(operation, args)
	local problem = closed(self) or check_texts(operation)
	if problem then return nil, problem end
	local out = out_json()
	return outcome(C.trophy_call(self.handle, operation, as_json(args), out), out)
end

--- Calls any operation; callback(reply, error) runs once, inside dispatch(). Gives a number for cancel().
function Client:call_async(operation, args, callback)
	local problem = closed(self) or check_texts(operation)
	if problem then return nil, problem end
	local out, id = out_json(), remember(callback)
	local _, refused = outcome(C.trophy_call_async(self.handle, operation, as_json(args), on_event, id, out), out)
	if refused then forget(id) return nil, refused end
	return id
end

--- Ends an asynchronous call: its callback runs once, with code "cancelled" or with the reply. How many it ended.
function Client:cancel(id)
	if not self.handle then return 0 end
	return tonumber(C.trophy_client_cancel(self.handle, id))
end
jit.off(Client.cancel)

--- Runs the callbacks that are ready; waits up to `timeout_ms` (0) for the first. How many ran. An error that one
--- of them raised is raised here.
function Client:dispatch(timeout_ms)
	local problem = closed(self)
	if problem then return nil, problem end
	local count = tonumber(C.trophy_client_dispatch(self.handle, timeout_ms or 0))
	raise_what_callbacks_raised()
	return count
end
jit.off(Client.dispatch)

--- Sets callback(delivery, error), which hears how each queued event ended; nil: nobody hears.
function Client:on_delivery(callback)
	local problem = closed(self)
	if problem then return nil, problem end
	local before = self.shared.delivery
	if callback then
		self.shared.delivery = remember(callback, true)
		C.trophy_client_on_delivery(self.handle, on_event, self.shared.delivery)
	else
		self.shared.delivery = nil
		C.trophy_client_on_delivery(self.handle, nil, 0)
	end
	if before then forget(before) end
	return true
end
jit.off(Client.on_delivery)

--- Waits until the queue is delivered. { undelivered = 0 }, or nil and an error of code "timeout".
function Client:flush(timeout_ms)
	local problem = closed(self)
	if problem then return nil, problem end
	local out = out_json()
	return outcome(C.trophy_client_flush(self.handle, timeout_ms or -1, out), out)
end
jit.off(Client.flush)

--- What the client has done and has to do, as numbers.
function Client:stats()
	local problem = closed(self)
	if problem then return nil, problem end
	local out = out_json()
	return outcome(C.trophy_client_stats(self.handle, out), out)
end

--- Changes the API key, after it was rotated.
function Client:set_api_key(api_key)
	local problem = closed(self) or check_texts(api_key)
	if problem then return nil, problem end
	local out = out_json()
	return outcome(C.trophy_client_set_api_key(self.handle, api_key, out), out)
end

--- Ends the client for all its handles: delivers what is queued, for up to `timeout_ms` (2,000), runs the callbacks
--- that are left, frees this handle. Again is fine. { undelivered = n }
function Client:close(timeout_ms)
	if not self.handle then return { undelivered = 0 } end
	local out = out_json()
	local status = C.trophy_client_close(self.handle, timeout_ms or 2000, out)
	local told = out[0] ~= nil and ffi.string(out[0])
	C.trophy_string_free(out[0])
	-- Refused inside a callback: then the handle stays.
	if status ~= OK and status ~= TIMEOUT then return nil, failure(status, told) end
	local handle = self.handle
	self.handle = nil
	free(ffi.gc(handle, nil))
	if self.shared.delivery then forget(self.shared.delivery) end
	raise_what_callbacks_raised()
	return json.decode(told)
end
jit.off(Client.close)

local function merged(args, more)
	local all = {}
	for name, value in pairs(more or {}) do all[name] = value end
	for name, value in pairs(args) do all[name] = value end
	return all
end

--- A user's streak. `args`: historyPeriods, options.
function Client:streak(user_id, args) return self:call("users_streak", merged({ id = user_id }, args)) end

--- Creates a user, or changes the one there is: { email = ..., name = ..., tz = ..., attributes = {...} }.
function Client:identify(user_id, user)
	return self:call("users_identify", { id = user_id, body = user })
end

--- A user's achievements. `args`: includeIncomplete, options.
function Client:achievements(user_id, args)
	return self:call("users_achievements", merged({ id = user_id }, args))
end

--- Marks an achievement as completed by a user (an id, or a table).
function Client:complete_achievement(key, user)
	if type(user) == "string" then user = { id = user } end
	return self:call("achievements_complete", { key = key, body = { user = user } })
end

--- A leaderboard with its rankings. `args`: offset, limit, run, userId, userAttributes, options.
function Client:leaderboard(key, args) return self:call("leaderboards_get", merged({ key = key }, args)) end

trophy.Client = Client
return trophy
