// A progress bar on standard error: share done, rate, time left.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "cleave/cli/context.h"

namespace cleave::cli {

// Shows context.progress while it lives; nothing when standard error is not a terminal, or with
// --quiet or --json. Appears only when the work takes longer than a moment.
class ProgressBar {
 public:
  ProgressBar(Context& context, std::string what);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Finds out meanwhile how much there is to do under `paths`, for the time left.
  void estimate(std::vector<std::string> paths);

 private:
  void draw_until(const std::stop_token& stop);
  void draw(double seconds);

  Progress& progress_;
  std::string what_;
  bool shown_;
  bool drawn_ = false;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread drawer_;
  std::jthread estimator_;
};

// To be called before a line is printed: wipes the bar off the terminal, until it is drawn again.
void clear_progress_line();

}  // namespace cleave::cli
