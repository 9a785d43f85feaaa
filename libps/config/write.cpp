#include "libps/config/write.hpp"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <type_traits>

#include "libps/config/text.hpp"

namespace ringps {

namespace {

using config_detail::join_path;
using nlohmann::ordered_json;
using schema::Agreement;
using schema::Field;
using schema::Section;

template <class T>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;
template <class T>
inline constexpr bool is_section_list = false;
template <Section T>
inline constexpr bool is_section_list<std::vector<T>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// Calls `visit(field)` for what an entry of a list says: the rest of it are defaults, and would only hide that.
template <Section S, class Visitor>
void for_each_said(const S& entry, Visitor&& visit) {
  const S defaults;
  schema::for_each_field<S>([&](const auto& field) {
    if (!(entry.*field.member == defaults.*field.member)) {
      visit(field);
    }
  });
}

/// An optional that is not set is null.
template <class T>
ordered_json json_of(const T& value) {
  if constexpr (Section<T>) {
    ordered_json object = ordered_json::object();
    schema::for_each_field<T>(
        [&](const auto& field) { object[std::string(field.key)] = json_of(value.*field.member); });
    return object;
  } else if constexpr (is_list<T>) {
    ordered_json list = ordered_json::array();
    for (const auto& entry : value) {
      if constexpr (is_section_list<T>) {
        ordered_json object = ordered_json::object();
        for_each_said(entry, [&](const auto& field) { object[std::string(field.key)] = json_of(entry.*field.member); });
        list.push_back(std::move(object));
      } else {
        list.push_back(json_of(entry));
      }
    }
    return list;
  } else if constexpr (is_optional<T>) {
    return value ? json_of(*value) : ordered_json();
  } else if constexpr (std::is_enum_v<T>) {
    return schema::name_of(value);
  } else {
    return value;
  }
}

/// The value on one line: JSON is YAML, but names and keys read better without quotes.
template <class T>
std::string yaml_of(const T& value) {
  std::string text;
  if constexpr (Section<T>) {
    for_each_said(value, [&](const auto& field) {
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", field.key, yaml_of(value.*field.member));
    });
    return "{" + text + "}";
  } else if constexpr (is_list<T>) {
    for (const auto& entry : value) {
      text += fmt::format("{}{}", text.empty() ? "" : ", ", yaml_of(entry));
    }
    return "[" + text + "]";
  } else if constexpr (is_optional<T>) {
    return value ? yaml_of(*value) : "";
  } else if constexpr (std::is_enum_v<T>) {
    return std::string(schema::name_of(value));
  } else if constexpr (std::is_same_v<T, std::string>) {
    return config_detail::double_quoted(value);
  } else {
    return ordered_json(value).dump();
  }
}

/// What a value may be, for the comment beside it.
template <class S, class T>
std::string choices(const Field<S, T>& field) {
  using Value = typename schema::Element<T>::value_type;
  if constexpr (std::is_enum_v<Value>) {
    return fmt::format(" ({})", config_detail::allowed_names<Value>());
  } else {
    const std::string range = config_detail::words(field.range);
    return range.empty() ? "" : fmt::format(" ({})", range);
  }
}

template <Section S>
void write_yaml(const S& section, const std::string& indent, std::string& text) {
  schema::for_each_field<S>([&]<class T>(const Field<S, T>& field) {
    const T& value = section.*field.member;
    const std::string comment = fmt::format("  # {}{}\n", field.doc, choices(field));
    if constexpr (Section<T>) {
      text += fmt::format("{}{}:{}", indent, field.key, comment);
      write_yaml(value, indent + "  ", text);
    } else if (const std::string written = yaml_of(value); !written.empty()) {
      text += fmt::format("{}{}: {}{}", indent, field.key, written, comment);
    } else {
      text += fmt::format("{}# {}:{}", indent, field.key, comment);
    }
  });
}

template <Section S>
void write_shared(const S& section, const std::string& path, std::string& text) {
  schema::for_each_field<S>([&]<class T>(const Field<S, T>& field) {
    const T& value = section.*field.member;
    const std::string field_path = join_path(path, field.key);
    if constexpr (Section<T>) {
      write_shared(value, field_path, text);
    } else if (field.agreement == Agreement::shared) {
      text += fmt::format("{}={}\n", field_path, json_of(value).dump());
    }
  });
}

}  // namespace

std::string to_yaml(const Config& config) {
  std::string text;
  write_yaml(config, "", text);
  return text;
}

ordered_json to_json(const Config& config) {
  return json_of(config);
}

std::string canonical_text(const Config& config) {
  std::string text;
  write_shared(config, "", text);
  return text;
}

}  // namespace ringps
