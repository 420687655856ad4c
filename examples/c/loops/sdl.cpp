// SDL 2, in C++: replies come as an event of the game's own, beside its keys and its mouse.
#include <SDL.h>

#include <cstdio>
#include <string>
#include <trophy.hpp>

static constexpr int events = 20;

static int run() {
  const Uint32 wake_up = SDL_RegisterEvents(1);
  const trophy::Client client({}, trophy::Object{{"callbacks", "dispatch"}});
  // From any thread, as SDL_PushEvent() may be called.
  client.on_ready([wake_up] {
    SDL_Event event{};
    event.type = wake_up;
    SDL_PushEvent(&event);
  });

  int replies = 0, failures = 0, wake_ups = 0;
  for (int i = 0; i < events; i++) {
    const trophy::Event event("words-written", "sdl-" + std::to_string(i), 10);
    // Runs inside dispatch(), so on this thread: no lock is needed.
    client.event_async(event, [&](const trophy::Result<trophy::Json> &reply) {
      replies++;
      if (reply) return;
      failures++;
      std::fprintf(stderr, "%s\n", reply.error().what());
    }).value();
  }
  SDL_Event event;
  while (replies < events && SDL_WaitEvent(&event)) {
    if (event.type == SDL_QUIT) break;
    if (event.type == wake_up) {
      client.dispatch();
      wake_ups++;
    }
  }
  std::printf("%d replies, woken %d times\n", replies, wake_ups);
  return replies == events && failures == 0 ? 0 : 1;
}

int main(int, char **) {
  if (SDL_Init(SDL_INIT_VIDEO) != 0) {
    std::fprintf(stderr, "%s\n", SDL_GetError());
    return 1;
  }
  int code = 1;
  try {
    code = run();
  } catch (const trophy::Error &error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  SDL_Quit();
  return code;
}
