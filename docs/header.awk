# Gives Doxygen a header in groups. The opening comment becomes the text of the file's page, each banner
# (a line "---- Title ----") begins a group, and the options become tables. In the header itself they stay what
# is best to read there.

FNR == 1 { # "/*" before " * trophy.h: the C API of ..."
    print "/**"
    part = "opening"
    next
}

part == "opening" && FNR == 2 {
    sub(/^ \* trophy\.hp*: /, "")
    print " * @file\n * @brief " toupper(substr($0, 1, 1)) substr($0, 2)
    next
}

# Of use only to who edits it.
part == "opening" && /^ \* Generated/ { next }

part == "opening" && /^ \* THE RULES/ { next } # the title on the page

# A rule begins with its subject, and goes on further in.
part == "opening" && /^ \* [^ ]/ {
    sub(/^ \* /, " * - ")
    sub(/- [A-Z][a-z]+( [a-z]+)?\. /, "&\001")
    if (sub(/ \001/, "** ")) sub(/- /, "- **")
    print
    next
}

/^\/\* ---- .* -+ \*\/$/ {
    gsub(/^\/\* -+ | -+ \*\/$/, "")
    if (is_open) print "/** @} */"
    # The first words for the links, all for people.
    id = $0
    sub(/[:,].*/, "", id)
    gsub(/[^A-Za-z0-9]+/, "-", id)
    sub(/-$/, "", id)
    is_open = ($0 != "Options")
    print "/** @defgroup c-" tolower(id) " " $0 (is_open ? " */\n/** @{ */" : "")
    if (!is_open) part = "options"
    next
}

part == "options" && /^\/?\*?$/ { next } # up to its comment, which goes on with the group's

part == "options" && /^ \* [A-Z ]+: / { # CLIENT OPTIONS: what they are
    end_row()
    columns = /CLIENT/ ? 3 : 2
    sub(/^ \* /, "")
    title = tolower(substr($0, 2, index($0, ":") - 2))
    print " * @par " substr($0, 1, 1) title
    print " * " substr($0, index($0, ":") + 2)
    while ((getline) > 0 && $0 != " *") print
    row = columns == 3 ? "| option | default | meaning |\n * |---|---|---" : "| option | meaning |\n * |---|---"
    row = " *\n * " row
    next
}

part == "options" && /^ \* (  )?[a-z_]+  / { # name  default  meaning
    end_row()
    sub(/^ \* /, "")
    inner = sub(/^  /, "")
    fields = split($0, field, /   */)
    name = (inner ? "– " : "") "`" field[1] "`"
    row = columns == 3 ? " * | " name " | " field[2] " | " field[3] : " * | " name " | " field[2]
    next
}

part == "options" && /^ \*    / { # more of the meaning
    sub(/^ \* */, " ")
    row = row $0
    next
}

part == "options" && /^ \*$/ { end_row(); print; next }

/^ *\*\/$/ { end_row(); part = "" }

# Tells the linker apart what is compiled with exceptions and without; nobody writes its name.
/^inline namespace (throwing|aborting) / || /^}  \/\/ namespace throwing/ { print ""; next }

/^#endif.* TROPHY_HP*/ && is_open { print "/** @} */" }

{
    gsub(/\(see above\)/, "(see @ref c-options)")
    print
}

function end_row() {
    if (row != "") print row " |"
    row = ""
}
