# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion of mctl for fish. What can come next is mctl's own word; files and directories are the shell's. fish itself puts no
# space behind what ends with '='.

function __mctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)

    if string match -qr '/|^[.~]' -- $current
        __fish_complete_directories $current ''
        return
    end
    set -l candidates (command mctl __complete $words[2..-1] "$current" 2>/dev/null)
    if set -q candidates[1]
        printf '%s\n' $candidates
    else
        __fish_complete_path $current
    end
end

complete -c mctl -f -a '(__mctl_complete)'
