// cleave completion bash|zsh|fish
#include <fmt/format.h>

#include "cleave/cli/context.h"

namespace cleave::cli {

namespace {

struct Flag {
  std::string long_name;   // without dashes
  std::string short_name;  // perhaps empty
  bool takes_value = false;
};

// A subcommand and what can follow it, read off the parser itself, so that nothing is forgotten.
struct Words {
  std::string name;
  std::string description;
  std::vector<Flag> flags;
  std::vector<Words> commands;
  bool takes_artifacts = false;
};

const std::vector<std::string> kShells = {"bash", "zsh", "fish"};

Words words_of(const CLI::App& app) {
  Words words;
  words.name = app.get_name();
  words.description = app.get_description();
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() && option->get_type_name() == "NAME") words.takes_artifacts = true;
    const auto& shorts = option->get_snames();
    for (const std::string& name : option->get_lnames()) {
      words.flags.push_back({.long_name = name,
                             .short_name = shorts.empty() ? "" : shorts.front(),
                             .takes_value = option->get_items_expected_max() > 0});
    }
  }
  if (words.name == "completion") {
    for (const std::string& shell : kShells) {
      Words& inner = words.commands.emplace_back();
      inner.name = shell;
      inner.description = "Script for " + shell;
    }
  }
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    words.commands.push_back(words_of(*command));
  }
  return words;
}

std::string names_of(const std::vector<Flag>& flags) {
  std::vector<std::string> names;
  names.reserve(flags.size());
  for (const Flag& flag : flags) names.push_back("--" + flag.long_name);
  return fmt::format("{}", fmt::join(names, " "));
}

// Those that the next word belongs to, in all their forms.
std::vector<std::string> flags_with_value(const Words& command) {
  std::vector<std::string> names;
  for (const Flag& flag : command.flags) {
    if (!flag.takes_value) continue;
    names.push_back("--" + flag.long_name);
    if (!flag.short_name.empty()) names.push_back("-" + flag.short_name);
  }
  return names;
}

std::string names_of(const std::vector<Words>& commands) {
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const Words& command : commands) names.push_back(command.name);
  return fmt::format("{}", fmt::join(names, " "));
}

void print_bash_case(const Words& command, const std::string& path, const Words& root) {
  fmt::print("    {}) words=\"{} {} {}\"{} ;;\n", path, names_of(command.commands),
             names_of(command.flags), names_of(root.flags),
             command.takes_artifacts ? "; artifacts=1" : "");
  for (const Words& inner : command.commands) {
    print_bash_case(inner, fmt::format("'{} {}'", command.name, inner.name), root);
  }
}

void print_bash(const Words& root) {
  fmt::print(R"sh(# bash completion for cleave: source it, or put it in bash-completion's folder.
_cleave() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} path= words= artifacts= name i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in
      {}) ((++i)) ;;
      -*) ;;
      *) path="${{path:+$path }}${{COMP_WORDS[i]}}"; [[ $path == nar ]] || break ;;
    esac
  done
  case $path in
)sh",
             fmt::join(flags_with_value(root), "|"));
  fmt::print("    '') words=\"{} {}\" ;;\n", names_of(root.commands), names_of(root.flags));
  for (const Words& command : root.commands) print_bash_case(command, command.name, root);
  fmt::print(R"sh(  esac
  if [[ $current == -* || -z $path || ( $path == nar && -n $words ) || $path == completion ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  elif [[ $artifacts ]]; then
    # Not compgen -W, which would expand what stands in the names.
    COMPREPLY=()
    while IFS= read -r name; do
      [[ $name == "$current"* ]] && COMPREPLY+=("$name")
    done < <(cleave ls --names 2>/dev/null)
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}}
complete -o filenames -F _cleave cleave
)sh");
}

std::string quoted(std::string text) {
  for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 4) {
    text.replace(at, 1, "'\\''");
  }
  return "'" + text + "'";
}

std::string zsh_describe(const std::vector<Words>& commands) {
  std::string out;
  for (const Words& command : commands) {
    out += " " + quoted(command.name + ":" + command.description);
  }
  return out;
}

void print_zsh_case(const Words& command, const std::string& path, const Words& root) {
  const char* rest = command.takes_artifacts
                         ? "names=(${(f)\"$(cleave ls --names 2>/dev/null)\"}); compadd -a names"
                         : "_files";
  if (!command.commands.empty()) {
    fmt::print("    {}) commands=({}); _describe command commands ;;\n", path,
               zsh_describe(command.commands));
  } else {
    fmt::print("    {}) [[ $PREFIX == -* ]] && compadd -- {} {} || {{ {} }} ;;\n", path,
               names_of(command.flags), names_of(root.flags), rest);
  }
  for (const Words& inner : command.commands) {
    print_zsh_case(inner, fmt::format("'{} {}'", command.name, inner.name), root);
  }
}

void print_zsh(const Words& root) {
  fmt::print(R"sh(#compdef cleave
# zsh completion for cleave: put it as _cleave in a folder of $fpath.
_cleave() {{
  local -a commands names
  local typed= i  # not "path", which is PATH
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
      {}) ((++i)) ;;
      -*) ;;
      *) typed="${{typed:+$typed }}$words[i]"; [[ $typed == nar ]] || break ;;
    esac
  done
  case $typed in
)sh",
             fmt::join(flags_with_value(root), "|"));
  fmt::print(
      "    '') if [[ $PREFIX == -* ]]; then compadd -- {}; else commands=({}); _describe command "
      "commands; fi ;;\n",
      names_of(root.flags), zsh_describe(root.commands));
  for (const Words& command : root.commands) print_zsh_case(command, command.name, root);
  fmt::print("  esac\n}}\n_cleave \"$@\"\n");
}

void print_fish_flags(const Words& command, const std::string& condition) {
  for (const Flag& flag : command.flags) {
    fmt::print("complete -c cleave{} -l {}{}{}\n", condition, flag.long_name,
               flag.short_name.empty() ? "" : " -s " + flag.short_name,
               flag.takes_value ? " -r" : "");
  }
}

// What stands behind `path`, the names of a subcommand and those it is in.
void print_fish_command(const Words& command, const std::string& path) {
  const std::string condition = fmt::format(" -n {}", quoted("__cleave_at " + path));
  if (!path.empty()) print_fish_flags(command, condition);
  if (command.takes_artifacts) {
    fmt::print("complete -c cleave{} -f -a '(cleave ls --names 2>/dev/null)'\n", condition);
  }
  for (const Words& inner : command.commands) {
    fmt::print("complete -c cleave{} -f -a {} -d {}\n", condition, inner.name,
               quoted(inner.description));
  }
  for (const Words& inner : command.commands) {
    print_fish_command(inner, path.empty() ? inner.name : path + " " + inner.name);
  }
}

void print_fish(const Words& root) {
  // The functions that fish brings take the value of a flag for a subcommand.
  fmt::print(R"sh(# fish completion for cleave: put it in ~/.config/fish/completions/cleave.fish
# Whether the words before the cursor name this subcommand.
function __cleave_at
  set -l words (commandline -opc)
  set -e words[1]
  set -l path
  while set -q words[1]
    switch $words[1]
      case {}
        set -e words[1]
      case '-*'
      case '*'
        set -a path $words[1]
        test "$path" = nar; or break
    end
    set -e words[1]
  end
  test "$path" = "$argv"
end
)sh",
             fmt::join(flags_with_value(root), " "));
  print_fish_flags(root, "");
  print_fish_command(root, "");
}

}  // namespace

void register_completion(CLI::App& app, Context& context) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command =
      add_command(app, "completion", "Print a script that completes cleave's words in a shell");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->type_name("SHELL")
      ->check(CLI::IsMember(kShells));
  command->callback([&app, &context, shell] {
    context.action = [&app, shell]() -> Result<ExitCode> {
      const Words root = words_of(app);
      if (*shell == "bash") print_bash(root);
      if (*shell == "zsh") print_zsh(root);
      if (*shell == "fish") print_fish(root);
      return kDone;
    };
  });
}

}  // namespace cleave::cli
