// cleave completion bash|zsh|fish
#include <fmt/format.h>

#include "cleave/cli/context.h"

namespace cleave::cli {

namespace {

// A subcommand and what can follow it, read off the parser itself, so that nothing is forgotten.
struct Words {
  std::string name;
  std::string description;
  std::vector<std::string> flags = {};
  std::vector<std::string> flags_with_value = {};  // short ones too
  std::vector<Words> commands = {};
  bool takes_artifacts = false;
};

const std::vector<std::string> kShells = {"bash", "zsh", "fish"};

Words words_of(const CLI::App& app) {
  Words words{app.get_name(), app.get_description()};
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words.flags.push_back("--" + name);
    if (option->get_positional() && option->get_type_name() == "NAME") words.takes_artifacts = true;
    if (option->get_items_expected_max() == 0) continue;
    for (const std::string& name : option->get_lnames()) {
      words.flags_with_value.push_back("--" + name);
    }
    for (const std::string& name : option->get_snames()) {
      words.flags_with_value.push_back("-" + name);
    }
  }
  if (words.name == "completion") {
    for (const std::string& shell : kShells)
      words.commands.push_back({shell, "Script for " + shell});
  }
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    words.commands.push_back(words_of(*command));
  }
  return words;
}

std::string join(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, " "));
}

std::string names_of(const std::vector<Words>& commands) {
  std::vector<std::string> names;
  for (const Words& command : commands) names.push_back(command.name);
  return join(names);
}

void print_bash_case(const Words& command, const std::string& path, const Words& root) {
  fmt::print("    {}) words=\"{} {} {}\"{} ;;\n", path, names_of(command.commands),
             join(command.flags), join(root.flags), command.takes_artifacts ? "; artifacts=1" : "");
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
             fmt::join(root.flags_with_value, "|"));
  fmt::print("    '') words=\"{} {}\" ;;\n", names_of(root.commands), join(root.flags));
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
               join(command.flags), join(root.flags), rest);
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
             fmt::join(root.flags_with_value, "|"));
  fmt::print(
      "    '') if [[ $PREFIX == -* ]]; then compadd -- {}; else commands=({}); _describe command "
      "commands; fi ;;\n",
      join(root.flags), zsh_describe(root.commands));
  for (const Words& command : root.commands) print_zsh_case(command, command.name, root);
  fmt::print("  esac\n}}\n_cleave \"$@\"\n");
}

void print_fish_command(const Words& command, const std::string& condition) {
  for (const std::string& flag : command.flags) {
    fmt::print("complete -c cleave -n {} -l {}\n", quoted(condition), flag.substr(2));
  }
  if (command.takes_artifacts) {
    fmt::print("complete -c cleave -n {} -f -a '(cleave ls --names 2>/dev/null)'\n",
               quoted(condition));
  }
  for (const Words& inner : command.commands) {
    fmt::print(
        "complete -c cleave -n {} -f -a {} -d {}\n",
        quoted(condition + "; and not __fish_seen_subcommand_from " + names_of(command.commands)),
        inner.name, quoted(inner.description));
    print_fish_command(inner, condition + "; and __fish_seen_subcommand_from " + inner.name);
  }
}

void print_fish(const Words& root) {
  fmt::print("# fish completion for cleave: put it in ~/.config/fish/completions/cleave.fish\n");
  for (const std::string& flag : root.flags) {
    fmt::print("complete -c cleave -l {}\n", flag.substr(2));
  }
  for (const Words& command : root.commands) {
    fmt::print("complete -c cleave -n __fish_use_subcommand -f -a {} -d {}\n", command.name,
               quoted(command.description));
    print_fish_command(command, "__fish_seen_subcommand_from " + command.name);
  }
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
