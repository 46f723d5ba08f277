# bash completion for strata. Verbs and options are asked of strata's own --help, so they never go stale.

_strata_words() { # the words of a column of strata's help
	"$1" "${@:2}" --help 2>/dev/null | sed -n "$_strata_sed"
}

_strata_kernel() { # sees cur, i, strata, where of its caller
	local sub=''
	((COMP_CWORD > i + 1)) && sub=${COMP_WORDS[i + 1]}
	if [[ -z $sub ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'build import list use rm' -- "$cur")
	elif [[ $cur == -* ]]; then
		_strata_sed='s/^  .\{4\}\(--[a-z-]*\).*/\1/p'
		mapfile -t COMPREPLY < <(compgen -W "$(_strata_words "$strata" kernel "$sub")" -- "$cur")
	elif [[ $sub == import ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	elif [[ $sub == use || $sub == rm ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$("$strata" "${where[@]}" kernel list -q 2>/dev/null)" -- "$cur")
	fi
}

_strata() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} strata=${COMP_WORDS[0]}
	local verb='' i where=() _strata_sed
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--root | --runroot) where+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}"); i=$((i + 1)) ;;
		-*) ;;
		*) verb=${COMP_WORDS[i]}; break ;;
		esac
	done
	COMPREPLY=()
	case $prev in
	--root | --runroot | -f | --file | -o | --output | -i | --input | --modules | -c | --config | --env-file | --label-file | --cidfile)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--kernel)
		mapfile -t COMPREPLY < <(compgen -W "$("$strata" "${where[@]}" kernel list -q 2>/dev/null)" -- "$cur"; compgen -f -- "$cur")
		return
		;;
	--cap-add | --cap-drop)
		mapfile -t COMPREPLY < <(compgen -W 'ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE
			CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN
			MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID
			SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME
			SYS_TTY_CONFIG SYSLOG WAKE_ALARM' -- "$cur")
		return
		;;
	--ulimit)
		mapfile -t COMPREPLY < <(compgen -S = -W 'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio
			rttime sigpending stack' -- "$cur")
		compopt -o nospace
		return
		;;
	--storage-opt) mapfile -t COMPREPLY < <(compgen -W 'size=' -- "$cur"); compopt -o nospace; return ;;
	--with) mapfile -t COMPREPLY < <(compgen -W 'blk' -- "$cur"); return ;;
	--vmm) mapfile -t COMPREPLY < <(compgen -W 'auto kvm qemu' -- "$cur"); return ;;
	--huge-pages) mapfile -t COMPREPLY < <(compgen -W 'thp hugetlb' -- "$cur"); return ;;
	--driver) mapfile -t COMPREPLY < <(compgen -W 'fuse overlay auto' -- "$cur"); return ;;
	--verify) mapfile -t COMPREPLY < <(compgen -W 'open never' -- "$cur"); return ;;
	--pull) mapfile -t COMPREPLY < <(compgen -W 'never missing always lazy' -- "$cur"); return ;;
	--compression) mapfile -t COMPREPLY < <(compgen -W 'keep zstd:chunked' -- "$cur"); return ;;
	--platform) mapfile -t COMPREPLY < <(compgen -W 'linux/amd64 linux/386 linux/arm64 linux/arm/v7' -- "$cur"); return ;;
	--network) mapfile -t COMPREPLY < <(compgen -W 'none host user bridge' -- "$cur"); return ;;
	--stop-signal | -s | --signal)
		mapfile -t COMPREPLY < <(compgen -W 'TERM INT QUIT HUP KILL USR1 USR2 WINCH PWR RTMIN+3' -- "$cur")
		return
		;;
	--filter)
		local keys='label= name= id= status= exited= ancestor='
		[[ $verb != images ]] || keys='reference= dangling=true dangling=false label='
		mapfile -t COMPREPLY < <(compgen -W "$keys" -- "$cur")
		compopt -o nospace
		return
		;;
	--format) mapfile -t COMPREPLY < <(compgen -W 'table json oci-archive oci-dir docker-archive' -- "$cur"); return ;;
	esac
	if [[ -z $verb ]]; then
		_strata_sed='s/^  \([a-z][a-z]*\)  *.*/\1/p'
		mapfile -t COMPREPLY < <(compgen -W "$(_strata_words "$strata") --root --runroot --debug --help --version" -- "$cur")
		return
	fi
	if [[ $verb == kernel ]]; then
		_strata_kernel
		return
	fi
	if [[ $cur == -* ]]; then
		_strata_sed='s/^  .\{4\}\(--[a-z-]*\).*/\1/p'
		mapfile -t COMPREPLY < <(compgen -W "$(_strata_words "$strata" "$verb")" -- "$cur")
		return
	fi
	case $verb in
	run | create | push | tag | rmi | history | save | inspect | mount | serve)
		mapfile -t COMPREPLY < <(compgen -W "$("$strata" "${where[@]}" images 2>/dev/null |
			awk 'NR > 1 && $1 != "<none>" { print $1 ":" $2; if ($2 == "latest") print $1 }')" -- "$cur")
		;;
	logs | stop | rm | start | restart | attach | checkpoint | restore | clone | kill | wait | pause | unpause | update | exec | top | stats | diff | commit | rename)
		mapfile -t COMPREPLY < <(compgen -W "$("$strata" "${where[@]}" ps -a --format json 2>/dev/null |
			sed -n 's/^ *"\(id\|name\)": "\(..*\)",*$/\2/p')" -- "$cur")
		;;
	import | build | umount) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	bench) mapfile -t COMPREPLY < <(compgen -W startup -- "$cur") ;;
	esac
}
complete -o default -F _strata strata
