-- The wrapper against the sandbox. Each test is a sentence; a failed one ends the run.

local ffi = require("ffi")
local trophy = require("trophy")

ffi.cdef([[
int poll(void *fds, unsigned long nfds, int timeout);
int socket(int domain, int type, int protocol);
int listen(int fd, int backlog);
int getsockname(int fd, void *addr, unsigned int *len);
]])

local KEY = "sandbox_admin.open-sesame"

local function read_file(path)
	local file = io.open(path)
	if not file then return nil end
	local text = file:read("*a")
	file:close()
	return text
end

local function wait_for(what, condition)
	for _ = 1, 1000 do
		local value = condition()
		if value then return value end
		ffi.C.poll(nil, 0, 10)
	end
	error("waited too long for " .. what)
end

local ready_file = os.tmpname()
os.remove(ready_file)
local sandbox = assert(io.popen(os.getenv("TROPHY_SANDBOX")
	.. " --port 0 --exit-with-stdin --ready-file " .. ready_file .. " >/dev/null", "w"))
local ready = trophy.json.decode(wait_for("the sandbox", function() return read_file(ready_file) end))
os.remove(ready_file)

local function open(options)
	local all = { base_url = ready.url, admin_base_url = ready.adminUrl, queue = { requests_per_second = 1000 } }
	for name, value in pairs(options or {}) do all[name] = value end
	return assert(trophy.new(KEY, all))
end

--- A port whose connections are taken by the kernel and never answered.
local function silent_port()
	local fd = ffi.C.socket(2, 1, 0)
	assert(ffi.C.listen(fd, 16) == 0)
	local address, length = ffi.new("unsigned char[16]"), ffi.new("unsigned int[1]", 16)
	assert(ffi.C.getsockname(fd, address, length) == 0)
	return address[2] * 256 + address[3]
end

local function dispatch_until(client, condition)
	for _ = 1, 1000 do
		if condition() then return end
		assert(client:dispatch(10))
	end
	error("waited too long for callbacks")
end

local function equal(have, want)
	if have ~= want then error(("have %s, want %s"):format(tostring(have), tostring(want)), 2) end
end

local tests = {}
local function test(name, body) tests[#tests + 1] = { name, body } end

test("an_event_with_the_same_key_counts_once", function(client)
	local first = assert(client:event("words-written", "lua-once", 750, { idempotency_key = "chapter-1" }))
	local again = assert(client:event("words-written", "lua-once", 750, { idempotency_key = "chapter-1" }))
	equal(first.total, 750)
	equal(first.idempotentReplayed, false)
	equal(again.total, 750)
	equal(again.idempotentReplayed, true)
end)

test("an_unknown_user_is_an_error_with_its_code", function(client)
	local reply, problem = client:streak("lua-nobody")
	equal(reply, nil)
	equal(problem.code, "not_found")
	equal(problem.http_status, 404)
	equal(type(problem.body.error), "string")
	local raised, what = pcall(function() return assert(client:streak("lua-nobody")) end)
	equal(raised, false)
	equal(what.code, "not_found")
end)

test("a_wrong_argument_is_named_and_nothing_is_sent", function(client)
	local before = client:stats().requests
	local _, problem = client:event("words-written", "lua-wrong", 1, { attributes = { genre = 7 } })
	equal(problem.code, "invalid_argument")
	assert(problem.message:find("genre", 1, true), problem.message)
	_, problem = client:event("words-written", "lua-wrong", 0 / 0)
	assert(problem.message:find("value", 1, true), problem.message)
	_, problem = client:call("users_streak", { id = "18", nonsense = 1 })
	assert(problem.message:find("nonsense", 1, true), problem.message)
	_, problem = client:event("words\0written", "lua-wrong", 1)
	equal(problem.code, "invalid_argument")
	equal(client:stats().requests, before)
	_, problem = trophy.new(KEY, { no_such_option = 1 })
	assert(problem.message:find("no_such_option", 1, true), problem.message)
	_, problem = trophy.new(KEY, { callbacks = "worker" })
	assert(problem.message:find("dispatch", 1, true), problem.message)
end)

test("unicode_comes_back_as_it_went", function(client)
	local name = "Zoë 漢字 🏆 \"quoted\" \\ / \n"
	assert(client:identify("lua-ü/漢", { name = name }))
	equal(assert(client:call("users_get", { id = "lua-ü/漢" })).name, name)
	equal(trophy.json.decode('"\\ud83c\\udfc6\\u00e9"'), "🏆é")
end)

test("a_hundred_asynchronous_events_each_answer_once", function(client)
	local answers, sum = {}, 0
	for i = 1, 100 do
		assert(client:event_async("words-written", "lua-async-" .. i % 10, i, nil, function(reply, problem)
			assert(reply, tostring(problem))
			answers[i] = (answers[i] or 0) + 1
			sum = sum + 1
		end))
	end
	dispatch_until(client, function() return sum >= 100 end)
	equal(client:dispatch(0), 0)
	for i = 1, 100 do equal(answers[i], 1) end
	equal(assert(client:call("users_single_metric", { id = "lua-async-0", key = "words-written" })).current, 550)
end)

test("a_cancelled_call_says_so_once", function()
	local client = open({ base_url = ("http://127.0.0.1:%d/v1"):format(silent_port()) })
	local codes = {}
	local id = assert(client:call_async("users_streak", { id = "18" }, function(_, problem)
		codes[#codes + 1] = problem.code
	end))
	equal(client:cancel(id), 1)
	dispatch_until(client, function() return #codes > 0 end)
	equal(client:cancel(id), 0)
	assert(client:close(0))
	equal(table.concat(codes, " "), "cancelled")
end)

test("an_error_in_a_callback_comes_out_of_dispatch", function(client)
	assert(client:call_async("achievements_all", nil, function() error("mine", 0) end))
	local ok, problem
	dispatch_until({ dispatch = function()
		ok, problem = pcall(client.dispatch, client, 10)
		return true
	end }, function() return ok == false end)
	equal(problem, "mine")
	equal(#assert(client:call("achievements_all")) > 0, true)
end)

test("queued_events_are_delivered_and_heard_of", function(client)
	local heard = {}
	client:on_delivery(function(delivery, problem) heard[delivery.idempotencyKey] = problem and problem.code or "ok" end)
	local good = assert(client:enqueue("words-written", "lua-queue", 5)).idempotencyKey
	local bad = assert(client:enqueue("no-such-metric", "lua-queue", 5)).idempotencyKey
	equal(assert(client:flush(10000)).undelivered, 0)
	dispatch_until(client, function() return heard[good] and heard[bad] end)
	equal(heard[good], "ok")
	local _, refused = client:event("no-such-metric", "lua-queue", 5)
	equal(heard[bad], refused.code)
	client:on_delivery(nil)
	equal(assert(client:call("users_single_metric", { id = "lua-queue", key = "words-written" })).current, 5)
end)

test("a_tenant_has_its_own_users", function(client)
	local tenant = assert(client:for_tenant("lua-tenant"))
	assert(tenant:event("words-written", "lua-lodger", 3))
	local _, problem = client:streak("lua-lodger")
	equal(problem.code, "not_found")
	equal(assert(tenant:streak("lua-lodger")).length, 1)
end)

test("the_common_operations_have_methods", function(client)
	assert(client:event("words-written", "lua-common", 600))
	equal(assert(client:complete_achievement("finish-onboarding", "lua-common")).achievement.key, "finish-onboarding")
	equal(#assert(client:achievements("lua-common")) > 0, true)
	equal(assert(client:leaderboard("all-time-words", { limit = 5 })).key, "all-time-words")
	assert(client:set_api_key(KEY))
end)

test("a_client_is_closed_once_and_then_says_so", function()
	local client = open()
	local refused
	assert(client:call_async("achievements_all", nil, function() local _, p = client:close() refused = p.code end))
	dispatch_until(client, function() return refused end)
	equal(refused, "invalid_argument")
	equal(assert(client:close()).undelivered, 0)
	equal(assert(client:close()).undelivered, 0)
	local _, problem = client:streak("18")
	equal(problem.code, "closed")
	_, problem = client:dispatch()
	equal(problem.code, "closed")
end)

test("calls_that_wait_are_told_when_the_client_closes", function()
	local client = open({ base_url = ("http://127.0.0.1:%d/v1"):format(silent_port()) })
	local codes = {}
	for _ = 1, 10 do
		assert(client:call_async("achievements_all", nil, function(_, problem) codes[#codes + 1] = problem.code end))
	end
	client:close(0)
	equal(table.concat(codes, " "), ("cancelled "):rep(9) .. "cancelled")
end)

test("a_webhook_is_checked", function()
	-- RFC 4231, test case 2.
	local body, signature = "what do ya want for nothing?", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
	equal(trophy.verify_webhook(body, signature, "Jefe"), trophy.null)
	local _, problem = trophy.verify_webhook(body .. "!", signature, "Jefe")
	equal(problem.code, "invalid_signature")
end)

test("ten_thousand_calls_leave_the_memory_flat", function(client)
	local function pages()
		collectgarbage() collectgarbage()
		return tonumber(read_file("/proc/self/statm"):match("%d+ (%d+)"))
	end
	local function many()
		for _ = 1, 10000 do
			client:stats()
			client:call("users_streak", { id = "18", nonsense = 1 })
		end
	end
	many()
	local before = pages()
	many()
	assert((pages() - before) * 4 < 2048, "grew by " .. (pages() - before) * 4 .. " KiB")
end)

test("a_forgotten_client_is_collected", function()
	for _ = 1, 20 do
		local client = open({ base_url = ("http://127.0.0.1:%d/v1"):format(silent_port()) })
		assert(client:call_async("achievements_all", nil, function() end))
	end
	collectgarbage() collectgarbage()
end)

test("the_example_runs", function()
	local pipe = assert(io.popen(("TROPHY_API_KEY=%s TROPHY_BASE_URL=%s luajit example.lua 2>&1"):format(KEY, ready.url)))
	local text = pipe:read("*a")
	pipe:close()
	assert(text:find("streak: 1", 1, true) and text:find("undelivered: 0", 1, true), text)
end)

local client = open()
for _, case in ipairs(tests) do
	local ok, problem = xpcall(case[2], debug.traceback, client)
	if not ok then
		io.stderr:write("FAILED ", case[1], "\n", tostring(problem), "\n")
		os.exit(1)
	end
end
assert(client:close())
sandbox:close()
print(#tests .. " tests")
