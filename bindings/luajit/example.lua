-- Sends an event, enqueues one, reads a streak; then the same without waiting, in a frame loop.
-- Needs TROPHY_API_KEY; with the sandbox also TROPHY_BASE_URL.

local trophy = require("trophy")

local client = assert(trophy.new())

-- Waits for the reply: what the event changed.
local reply = assert(client:event("words-written", { id = "18", tz = "Europe/London" }, 750,
	{ attributes = { genre = "poem" } }))
print("total: " .. reply.total)

-- Kept in the queue until the service has it, through any outage.
print("queued as " .. assert(client:enqueue("words-written", "18", 50)).idempotencyKey)

print("streak: " .. assert(client:streak("18")).length)

-- A game's loop: ask, go on drawing, and let dispatch() run what is ready.
local done = false
assert(client:call_async("users_achievements", { id = "18" }, function(achievements, problem)
	done = true
	print(problem and tostring(problem) or "achievements: " .. #achievements)
end))
repeat
	-- Update and draw here. In a game this is dispatch(0), which never waits.
	assert(client:dispatch(16))
until done

local closed = assert(client:close(5000))
print("undelivered: " .. closed.undelivered)
