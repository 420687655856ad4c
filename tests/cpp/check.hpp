// Named cases and checks. A failed check prints where it is; the program then ends with 1.
#ifndef CHECK_HPP
#define CHECK_HPP

#include <trophy.hpp>
#include <unistd.h>
#ifdef _WIN32
#include "../c/on_windows.h"
#else
#include <sys/wait.h>
#endif

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

inline int failed_checks;

#define CHECK(condition) check(__FILE__, __LINE__, (condition), #condition)
/** Whether two texts are the same. */
#define SAME(actual, expected) check_same(__FILE__, __LINE__, (actual), (expected))
/** Whether the text holds the part. */
#define HOLDS(text, part) check_holds(__FILE__, __LINE__, (text), (part))

/** A case that hangs is ended by its alarm, and fails. */
#define RUN(name)                                                       \
  do {                                                                  \
    const int before = failed_checks;                                   \
    alarm(600);                                                         \
    name();                                                             \
    std::printf("%s %s\n", failed_checks == before ? "ok    " : "FAILED", #name); \
    std::fflush(stdout);                                                \
  } while (0)

#define RESULT (failed_checks ? 1 : 0)

inline void check(const char *file, int line, bool condition, const char *text) {
  if (condition) return;
  std::printf("%s:%d: not true: %s\n", file, line, text);
  failed_checks++;
}

inline void check_same(const char *file, int line, std::string_view actual, std::string_view expected) {
  if (actual == expected) return;
  std::printf("%s:%d: %s, not %s\n", file, line, std::string(actual).c_str(), std::string(expected).c_str());
  failed_checks++;
}

inline void check_holds(const char *file, int line, std::string_view text, std::string_view part) {
  if (text.find(part) != std::string_view::npos) return;
  std::printf("%s:%d: does not hold %s: %s\n", file, line, std::string(part).c_str(), std::string(text).c_str());
  failed_checks++;
}

/** A client as the environment says. Without one there is nothing to test. */
inline trophy::Client make_client(const trophy::Json &options = {}) {
  auto client = trophy::Client::create({}, options);
  if (!client) {
    std::printf("no client: %s\n", client.error().what());
    std::exit(1);
  }
  return std::move(client).value();
}

/** Waits until it is so; the case's alarm is the limit. */
template <typename F>
void wait_until(F &&is_so) {
  while (!is_so()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

#ifdef _WIN32
/** Windows has no fork: there is no child to see end. */
template <typename F>
int signal_that_ends(F &&) {
  return -1;
}

template <typename F>
int code_that_ends(F &&) {
  return -1;
}
#else
/** What ends a child process that does this. */
template <typename F>
int signal_that_ends(F &&doing) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    std::freopen("/dev/null", "w", stderr);
    doing();
    std::_Exit(0);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return 0;
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/** The exit code of a child process that does this and returns; -1 if it ended otherwise, or hung. */
template <typename F>
int code_that_ends(F &&doing) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(300);
    doing();
    std::exit(0);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif

/** Checkers of memory see a child that aborts, or what is left on purpose, as their own find. On Windows
 *  there is no such child. */
inline bool is_checked_for_leaks() {
#ifdef _WIN32
  return true;
#endif
  const char *mode = std::getenv("TROPHY_C_MODE");
  return mode != nullptr && std::strcmp(mode, "plain") != 0;
}

/** Whether a child of a process that has threads can be seen to end: qemu-user aborts in one. */
inline bool has_children() {
  const char *runner = std::getenv("TROPHY_C_RUN");
  const bool is_qemu = runner != nullptr && std::strncmp(runner, "qemu-", 5) == 0;
  if (is_qemu) std::printf("skipped: qemu-user aborts in children that a process with threads forks\n");
  return !is_checked_for_leaks() && !is_qemu;
}

#endif
