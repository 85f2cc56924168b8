# What an agent does about a task: it edits the files of its worktree.
set -eu
edit() { # FILE SED-SCRIPT
    sed "$2" "$1" >"$1.new"
    cat "$1.new" >"$1"
    rm "$1.new"
}
case $1 in
"docs: tell of differences")
    edit docs/manual.md 's/    1 2 +/    1 2 + gives 3, 3 2 - gives 1/' ;;
"runtime: multiply")
    edit runtime/vm.c 's/^static long subtract.*/&\
static long multiply(long a, long b) { return a * b; }/
s/^    {"-", subtract},/&\
    {"*", multiply},/' ;;
"frontend: comments to the end of the line")
    edit frontend/main.c 's/^        char \*end;/        if (word[0] == '"'#'"') {\
            for (int c = 0; c != EOF \&\& c != '"'\\\\n'"';)\
                c = getchar();\
            continue;\
        }\
\
&/' ;;
"tests: a case for minus")
    echo "7 2 -" >tests/cases/minus.in
    echo "= 5" >tests/cases/minus.out ;;
"manifests: tell what is listed")
    edit runtime/sources.mk '1i\
# Every source of the runtime.' ;;
"docs: a line that ends in blanks")
    printf '\nBlanks at the end:  \n' >>docs/manual.md ;;
"runtime: forget a failure")
    edit runtime/vm.c '/^    vm->failed = 1;/d' ;;
"frontend: another way to answer")
    edit frontend/main.c 's/"= %ld/"-> %ld/' ;;
"docs: reach into the runtime")
    echo "The stack holds sixteen numbers." >>docs/manual.md
    edit runtime/vm.h 's/VM_DEPTH = 16/VM_DEPTH = 32/' ;;
"docs: from a stale copy")
    git reset --quiet --hard demo-base
    edit docs/manual.md 's/    1 2 +/    40 2 +/' ;;
"docs: a page that two begin")
    printf '# Words\n\n`+` and `-`.\n' >docs/words.md ;;
"docs: written while the coordinator dies")
    printf '# Answers\n\nAn answer begins with `=`.\n' >docs/answers.md ;;
"frontend: held while the coordinator dies")
    edit frontend/main.c 's/^    return vm.failed;/    fflush(stdout);\
&/' ;;
*)
    echo "no such task: $1" >&2
    exit 1 ;;
esac
