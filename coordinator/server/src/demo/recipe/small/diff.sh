# Compares what the program says with what it is known to say.
count=0
red=0
for case in tests/cases/*.in; do
    count=$((count + 1))
    name=$(basename "$case" .in)
    if ./say <"$case" 2>&1 | cmp -s - "${case%.in}.out"; then
        echo "ok $count - $name"
    else
        echo "not ok $count - $name"
        red=1
    fi
done
echo "1..$count"
exit "$red"
