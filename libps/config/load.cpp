#include "libps/config/load.hpp"

#include <spdlog/fmt/fmt.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "libps/config/reader.hpp"
#include "libps/config/report.hpp"
#include "libps/config/rules.hpp"

namespace ringps {

namespace {

constexpr std::size_t file_bytes_max = 1U << 20U;

Error too_large(const std::string& source) {
  return Error{fmt::format("{}: larger than 1 MiB, which is more than a configuration needs", source)};
}

}  // namespace

Result<Config> load_config_text(const std::string& text, const std::string& source, const Overrides& overrides) {
  if (text.size() > file_bytes_max) {
    return too_large(source);
  }
  Config config;
  config_detail::Report report(source);
  config_detail::read_text(text, source, config, report);
  for (const auto& override_text : overrides) {
    config_detail::read_override(override_text, config, report);
  }
  config_detail::check_rules(config, report);
  if (report.any()) {
    return report.error();
  }
  config_detail::resolve_defaults(config);
  return config;
}

Result<Config> load_config(const std::filesystem::path& file, const Overrides& overrides) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) {
    return Error{fmt::format("{}: expected a configuration file, found a folder", file.string())};
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    return Error{fmt::format("{}: cannot read the configuration file: {}", file.string(),
                             std::generic_category().message(errno))};
  }
  std::string text(file_bytes_max + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) {
    return Error{fmt::format("{}: cannot read the configuration file: {}", file.string(),
                             std::generic_category().message(errno))};
  }
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return load_config_text(text, file.string(), overrides);
}

}  // namespace ringps
