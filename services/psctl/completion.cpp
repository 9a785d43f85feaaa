#include "services/psctl/completion.hpp"

#include <spdlog/fmt/fmt.h>

#include "libps/config/config.hpp"
#include "libps/config/text.hpp"

namespace ringps {
namespace {

/// "section.key=" of every key.
template <schema::Section S>
void add_keys(const std::string& path, std::string& words) {
  schema::for_each_field<S>([&]<class T>(const schema::Field<S, T>& field) {
    const std::string field_path = config_detail::join_path(path, field.key);
    if constexpr (schema::Section<T>) {
      add_keys<T>(field_path, words);
    } else {
      words += field_path + "= ";
    }
  });
}

/// One branch of the script's `case` for every command, keyed by the words that lead to it.
void add_branches(const CLI::App& command, const std::string& words, std::string& branches) {
  std::string candidates;
  for (const CLI::App* sub : command.get_subcommands(nullptr)) {
    candidates += sub->get_name() + " ";
  }
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      candidates += name.find('_') == std::string::npos ? "--" + name + " " : "";
    }
  }
  if (words == " run" || words == " validate") {
    add_keys<Config>("", candidates);
  }
  branches += fmt::format("    '{}') candidates='{}' ;;\n", words, candidates);
  for (const CLI::App* sub : command.get_subcommands(nullptr)) {
    add_branches(*sub, words + " " + sub->get_name(), branches);
  }
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string branches;
  add_branches(app, "", branches);
  return fmt::format(R"(_psctl() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} words='' word candidates=''
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $word in [a-z]*) words+=" $word" ;; esac
  done
  # The command is the longest run of words that is one.
  while :; do
    case $words in
{}    esac
    [ -n "$candidates" ] || [ -z "$words" ] && break
    words=${{words% *}}
  done
  mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$current")
  [ ${{#COMPREPLY[@]}} -eq 0 ] && mapfile -t COMPREPLY < <(compgen -f -- "$current")
  [[ ${{COMPREPLY[0]-}} == *= ]] && compopt -o nospace
}}
complete -o filenames -F _psctl psctl
)",
                     branches);
}

}  // namespace ringps
