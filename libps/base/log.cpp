#include "libps/base/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <memory>

namespace ringps::log {
namespace {

/// The message as the inside of a JSON string.
class JsonText final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    for (const char c : message.payload) {
      if (c == '"' || c == '\\') {
        out.push_back('\\');
        out.push_back(c);
      } else if (static_cast<unsigned char>(c) < 0x20) {
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
      } else {
        out.push_back(c);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonText>(); }
};

}  // namespace

Result<void> configure(const std::string& who, const std::string& level, const std::string& format) {
  const auto severity = spdlog::level::from_str(level == "warning" ? "warn" : level);
  if (severity == spdlog::level::off || (format != "text" && format != "json")) {
    return Error{"--log-level is one of debug, info, warn, error, and --log-format is text or json; found '" + level +
                 "' and '" + format + "'"};
  }
  auto logger = std::make_shared<spdlog::logger>(who, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<JsonText>('*').set_pattern(
      format == "json" ? R"({"time":"%Y-%m-%dT%H:%M:%S.%f%z","level":"%l","who":"%n","text":"%*"})"
                       : "%Y-%m-%d %H:%M:%S.%f %-5l %n: %v");
  logger->set_formatter(std::move(formatter));
  logger->set_level(severity);
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
  return {};
}

}  // namespace ringps::log
