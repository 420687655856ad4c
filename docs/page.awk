# Gives Doxygen a Markdown page whose links, which are made for the repository, work in the HTML too: each page
# and each heading gets an id of its own, and each link the place where its target is in the HTML.
#
# ROOT is the repository, EXAMPLES its examples/*/README.md and bindings/*/README.md. README.md is the main page,
# docs/x.md the page x.html, bindings/x/README.md the page x.html, too. Any other file is linked as files/..., to which it is copied. A page that begins an item of a list is
# below the page it is listed on.

BEGIN { root = ENVIRON["ROOT"] "/" }

FNR == 1 {
    here = substr(FILENAME, length(root) + 1)
    page = page_of(here)
}

/^ *(```|~~~)/ { in_code = !in_code }

# A page's title. Other headings are plain, so that the tree beside the pages has pages only.
!in_code && /^# / && !titled++ {
    title = substr($0, 3)
    sub(/#$/, "#\\&lrm;", title) # C#, of which Doxygen takes the # for a closing one
    $0 = "# " title " {#" page "}"
}

!in_code && /^##+ / {
    level = index($0, " ") - 1
    id = anchor(page, $0)
    sub(/^#+ /, "")
    $0 = "<h" level " id=\"" id "\">" $0 "</h" level ">"
}

{ print in_code ? $0 : for_html($0) }

# The languages are the folders there are.
END {
    if (here != "docs/languages.md") exit
    print ""
    count = split(ENVIRON["EXAMPLES"], example, " ")
    for (i = 1; i <= count; i++) {
        if (example[i] !~ /sandbox/) print "- @subpage " page_of(example[i])
    }
}

# A line with its links changed, but not those that are `code`. Doxygen ends `code` at a quote in it, but not
# ``code``.
function for_html(line,    out, code, before) {
    if (here !~ /^(examples|bindings)/ && match(line, /^- \[[^\]]*\]\([^)#:]*\.md\)/)) {
        out = subpage(substr(line, 1, RLENGTH))
        line = substr(line, RLENGTH + 1)
    }
    while (match(line, /`[^`]+`/)) {
        code = substr(line, RSTART, RLENGTH)
        before = substr(line, 1, RSTART - 1)
        line = substr(line, RSTART + RLENGTH)
        if (code ~ /'/ && before !~ /`$/) code = "`" code "`"
        out = out relink(before) code
    }
    return out relink(line)
}

# "- [title](page.md)"
function subpage(item,    title) {
    title = item
    gsub(/^- \[|\]\(.*/, "", title)
    gsub(/.*\(|\)$/, "", item)
    return "- @subpage " page_of(resolve(item)) " \"" title "\""
}

function relink(line,    out, link, path, fragment) {
    while (match(line, /\]\([^)]*\)/)) {
        link = substr(line, RSTART + 2, RLENGTH - 3)
        out = out substr(line, 1, RSTART + 1)
        line = substr(line, RSTART + RLENGTH - 1)
        if (link ~ /\.(png|svg)$/) {
            sub(/.*\//, "", link) # Doxygen finds it, and copies it
        } else if (link !~ /^[a-z]+:/) {
            path = fragment = link
            sub(/#.*/, "", path)
            if (!sub(/^[^#]*#/, "", fragment)) fragment = ""
            link = target(path == "" ? here : resolve(path), fragment)
        }
        out = out link
    }
    return out line
}

# A path beside this page, from the root.
function resolve(path,    count, part, i, out) {
    out = here
    sub(/[^\/]*$/, "", out)
    count = split(path, part, "/")
    for (i = 1; i <= count; i++) {
        if (part[i] == "..") sub(/[^\/]*\/$/, "", out)
        else if (part[i] != "." && part[i] != "") out = out part[i] "/"
    }
    sub(/\/$/, "", out)
    return out
}

function target(file, fragment,    id) {
    if (file == "include/trophy.h") return "trophy_8h.html"
    if (file == "include/trophy.hpp") return "trophy_8hpp.html"
    if (is_file(file "/README.md")) file = file "/README.md"
    if (file ~ /\.md$/) {
        id = page_of(file)
        return (id == "mainpage" ? "index" : id) ".html" (fragment == "" ? "" : "#" anchor(id, fragment))
    }
    return "files/" file ".txt"
}

function page_of(file) {
    if (file == "README.md") return "mainpage"
    sub(/\/README\.md$/, "", file)
    sub(/\.md$/, "", file)
    sub(/.*\//, "", file)
    return file
}

# As the repository's host makes it of a heading: lower case, words joined by "-".
function anchor(page, heading) {
    heading = tolower(heading)
    sub(/^#+ /, "", heading)
    gsub(/[^a-z0-9 _-]/, "", heading)
    gsub(/ /, "-", heading)
    return page "-" heading
}

function is_file(file,    line, found) {
    found = (getline line < (root file)) > 0
    close(root file)
    return found
}
