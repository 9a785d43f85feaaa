#include "libps/config/reader.hpp"

#include <spdlog/fmt/fmt.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "libps/config/suggest.hpp"
#include "libps/config/text.hpp"

namespace ringps::config_detail {

namespace {

/// Names the places of one input.
class Source {
 public:
  static Source file(std::string name) { return Source(std::move(name), true); }
  static Source override_text(const std::string& text) {
    return Source(fmt::format("<override {}>", single_quoted(text)), false);
  }

  std::string at(const YAML::Mark& mark) const {
    const bool known = has_lines_ && !mark.is_null();
    return known ? fmt::format("{}:{}:{}", name_, mark.line + 1, mark.column + 1) : name_;
  }
  const std::string& whole() const { return name_; }

 private:
  Source(std::string name, bool has_lines) : name_(std::move(name)), has_lines_(has_lines) {}

  std::string name_;
  bool has_lines_;
};

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7F;
}

/// What is wrong with text that is not even worth giving to the YAML parser, or empty.
std::string text_problem(const std::string& text) {
  const auto is_foreign = [](char c) { return is_control(c) && c != '\n' && c != '\r' && c != '\t'; };
  if (const auto bad = std::find_if(text.begin(), text.end(), is_foreign); bad != text.end()) {
    return fmt::format("byte {} is a control character: this is not YAML text", bad - text.begin() + 1);
  }
  try {
    (void)nlohmann::json(text).dump();  // checks that it is UTF-8
  } catch (const nlohmann::json::exception&) {
    return "this is not UTF-8 text";
  }
  return "";
}

/// Ignores all of a document but where it starts.
class DocumentStart final : public YAML::EventHandler {
 public:
  YAML::Mark mark;

  void OnDocumentStart(const YAML::Mark& start) override { mark = start; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

/// The one document in `text`; a null node for an empty one, nothing after a problem.
std::optional<YAML::Node> parse(const std::string& text, const Source& source, Report& report) {
  if (const auto problem = text_problem(text); !problem.empty()) {
    report.problem_at(source.whole(), problem);
    return std::nullopt;
  }
  try {
    // Not LoadAll, which never ends on a bracket that closes nothing (yaml-cpp 0.7).
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    DocumentStart start;
    parser.HandleNextDocument(start);
    if (parser.HandleNextDocument(start)) {
      report.problem_at(source.at(start.mark), "expected the end of the file, found more behind the YAML document");
      return std::nullopt;
    }
    return YAML::Load(text);
  } catch (const YAML::DeepRecursion& error) {
    report.problem_at(source.at(error.mark), "YAML is nested too deeply");
  } catch (const YAML::Exception& error) {
    report.problem_at(source.at(error.mark), "not valid YAML: " + error.msg);
  }
  return std::nullopt;
}

std::string found(const YAML::Node& node) {
  if (node.IsNull()) {
    return "nothing";
  }
  if (node.IsMap()) {
    return "a map";
  }
  if (node.IsSequence()) {
    return "a list";
  }
  return single_quoted(node.Scalar());
}

/// Text in quotes is text, even when it looks like a number.
bool is_plain(const YAML::Node& node) {
  return node.IsScalar() && node.Tag() != "!";
}

enum class Depth : bool { section_only, with_sections_within };

template <schema::Section S>
void collect_keys(Depth depth, std::vector<std::string_view>& keys) {
  schema::for_each_field<S>([&]<class T>(const schema::Field<S, T>& field) {
    keys.push_back(field.key);
    if constexpr (schema::Section<T>) {
      if (depth == Depth::with_sections_within) {
        collect_keys<T>(depth, keys);
      }
    }
  });
}

/// The full path of the first key that is called `key`, in whichever section it stands; empty when there is none.
template <schema::Section S>
std::string path_of_key(std::string_view key, const std::string& path = "") {
  std::string result;
  schema::for_each_field<S>([&]<class T>(const schema::Field<S, T>& field) {
    if (result.empty() && field.key == key) {
      result = join_path(path, key);
    }
    if constexpr (schema::Section<T>) {
      result = result.empty() ? path_of_key<T>(key, join_path(path, field.key)) : result;
    }
  });
  return result;
}

/// The key that somebody may have meant who wrote `key` in section S: one of its own, else the path of one that stands
/// elsewhere, else empty.
template <schema::Section S>
std::string meant_key(std::string_view key) {
  std::vector<std::string_view> own;
  collect_keys<S>(Depth::section_only, own);
  if (const auto meant = closest(key, own); !meant.empty()) {
    return std::string(meant);
  }
  std::vector<std::string_view> all;
  collect_keys<Config>(Depth::with_sections_within, all);
  return path_of_key<Config>(closest(key, all));
}

/// Reads values of one input. A value that is wrong leaves its member as it was.
class Reader {
 public:
  Reader(Source source, Report& report) : source_(std::move(source)), report_(report) {}

  template <schema::Section S>
  void read(const YAML::Node& node, S& section, const schema::Range<S>& /*none*/, const std::string& path) {
    report_.given(path, source_.at(node.Mark()));
    if (node.IsNull()) {
      return;  // "cluster:" with nothing below it, or everything commented out
    }
    if (!node.IsMap()) {
      return expected("keys with values", node, path);
    }
    std::map<std::string, YAML::Mark> seen;
    for (const auto& entry : node) {
      if (report_.full()) {
        return;
      }
      const YAML::Node& key = entry.first;
      if (!key.IsScalar()) {
        report_.problem_at(source_.at(key.Mark()), "expected a key, found " + found(key));
      } else if (const auto [first, is_new] = seen.emplace(key.Scalar(), key.Mark()); !is_new) {
        report_.problem_at(source_.at(key.Mark()),
                           fmt::format("duplicate key {}: it is already given at {}",
                                       single_quoted(join_path(path, key.Scalar())), source_.at(first->second)));
      } else if (!read_key(key.Scalar(), entry.second, section, path)) {
        unknown_key<S>(key.Scalar(), path, source_.at(key.Mark()));
      }
    }
  }

  /// Reads the member that `rest` ("cluster.servers") names, seen from `section`.
  template <schema::Section S>
  void read_at(std::string_view rest, const YAML::Node& node, S& section, const std::string& path) {
    const auto dot = rest.find('.');
    const std::string_view key = rest.substr(0, dot);
    if (dot == std::string_view::npos) {
      if (!read_key(key, node, section, path)) {
        unknown_key<S>(key, path, source_.whole());
      }
      return;
    }
    bool known = false;
    schema::for_each_field<S>([&]<class T>(const schema::Field<S, T>& field) {
      if (field.key != key) {
        return;
      }
      known = true;
      const std::string below = join_path(path, key);
      if constexpr (schema::Section<T>) {
        read_at(rest.substr(dot + 1), node, section.*field.member, below);
      } else {
        report_.problem_at(source_.whole(), single_quoted(below) + " has no keys of its own: give it as a whole");
      }
    });
    if (!known) {
      unknown_key<S>(key, path, source_.whole());
    }
  }

 private:
  /// False when the section has no such key.
  template <schema::Section S>
  bool read_key(std::string_view key, const YAML::Node& node, S& section, const std::string& path) {
    bool known = false;
    schema::for_each_field<S>([&](const auto& field) {
      if (field.key == key) {
        known = true;
        read(node, section.*field.member, field.range, join_path(path, key));
      }
    });
    return known;
  }

  template <class T>
  void read(const YAML::Node& node, std::optional<T>& value, const schema::Range<T>& range, const std::string& path) {
    T inner{};
    read(node, inner, range, path);
    if (report_.sound(path)) {
      value = inner;
    }
  }

  template <class T>
  void read(const YAML::Node& node, std::vector<T>& list, const schema::Range<T>& range, const std::string& path) {
    report_.given(path, source_.at(node.Mark()));
    if (!node.IsSequence() && !node.IsNull()) {
      return expected("a list", node, path);
    }
    if (node.size() > schema::list_entries_max) {
      return report_.problem(
          path, fmt::format("expected at most {} entries, found {}", schema::list_entries_max, node.size()));
    }
    list.clear();
    report_.forget_entries(path);
    for (const auto& entry : node) {
      const std::string entry_path = fmt::format("{}[{}]", path, list.size());
      read(entry, list.emplace_back(), range, entry_path);
    }
  }

  void read(const YAML::Node& node, std::string& value, const schema::Range<std::string>& /*none*/,
            const std::string& path) {
    report_.given(path, source_.at(node.Mark()));
    if (!node.IsScalar()) {
      return expected("text (\"\" for none)", node, path);
    }
    if (std::any_of(node.Scalar().begin(), node.Scalar().end(), is_control)) {
      return report_.problem(path, "control characters are not allowed, found " + single_quoted(node.Scalar()));
    }
    value = node.Scalar();
  }

  void read(const YAML::Node& node, bool& value, const schema::Range<bool>& /*both*/, const std::string& path) {
    report_.given(path, source_.at(node.Mark()));
    if (!is_plain(node) || (node.Scalar() != "true" && node.Scalar() != "false")) {
      return expected("true or false", node, path);
    }
    value = node.Scalar() == "true";
  }

  template <class T>
  requires std::is_arithmetic_v<T>
  void read(const YAML::Node& node, T& value, const schema::Range<T>& range, const std::string& path) {
    report_.given(path, source_.at(node.Mark()));
    const std::string wanted =
        fmt::format("{} {}", std::is_integral_v<T> ? "a whole number" : "a number", words(range));
    if (!is_plain(node)) {
      return expected(wanted, node, path);
    }
    const std::string& text = node.Scalar();
    T number{};
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_number = status == std::errc() && end == text.data() + text.size();
    if (!is_number || !(number >= range.low && number <= range.high)) {  // NaN is in no range
      return expected(wanted, node, path);
    }
    value = number;
  }

  template <class Enum>
  requires std::is_enum_v<Enum>
  void read(const YAML::Node& node, Enum& value, const schema::Range<Enum>& /*none*/, const std::string& path) {
    report_.given(path, source_.at(node.Mark()));
    std::vector<std::string_view> allowed;
    for (const auto& [name, candidate] : names(Enum{})) {
      allowed.push_back(name);
      if (node.IsScalar() && node.Scalar() == name) {
        value = candidate;
        return;
      }
    }
    const auto hint = node.IsScalar() ? did_you_mean(closest(node.Scalar(), allowed)) : "";
    report_.problem(path, fmt::format("expected one of {}; found {}{}", allowed_names<Enum>(), found(node), hint));
  }

  void expected(const std::string& what, const YAML::Node& node, const std::string& path) {
    const bool unquote = node.IsScalar() && node.Tag() == "!";
    report_.problem(path, fmt::format("expected {}, found {}{}", what, found(node), unquote ? " in quotes" : ""));
  }

  template <schema::Section S>
  void unknown_key(std::string_view key, const std::string& path, const std::string& where) {
    report_.problem_at(
        where, fmt::format("unknown key {}{}", single_quoted(join_path(path, key)), did_you_mean(meant_key<S>(key))));
  }

  Source source_;
  Report& report_;
};

}  // namespace

void read_text(const std::string& text, const std::string& source_name, Config& config, Report& report) {
  const auto source = Source::file(source_name);
  if (const auto root = parse(text, source, report)) {
    Reader(source, report).read(*root, config, {}, "");
  }
}

void read_override(const std::string& override_text, Config& config, Report& report) {
  const auto source = Source::override_text(override_text);
  const auto equals = override_text.find('=');
  if (equals == std::string::npos || equals == 0) {
    report.problem_at(source.whole(), "expected section.key=value");
    return;
  }
  if (const auto value = parse(override_text.substr(equals + 1), source, report)) {
    Reader(source, report).read_at(std::string_view(override_text).substr(0, equals), *value, config, "");
  }
}

}  // namespace ringps::config_detail
