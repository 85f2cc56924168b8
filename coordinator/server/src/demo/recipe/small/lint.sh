# Warnings are errors, and no line ends in blanks.
set -eu
for source in $(git ls-files '*.c'); do
    "${CC:-cc}" -std=c99 -Wall -Wextra -Werror -fsyntax-only -Iruntime "$source"
done
if git grep -n '[[:blank:]]$' -- '*.c' '*.h' '*.md' '*.sh'; then
    echo "lines end in blanks"
    exit 1
fi
