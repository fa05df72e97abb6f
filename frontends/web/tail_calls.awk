# SPDX-License-Identifier: MIT
# LLVM joins the returns of a function, and its WebAssembly back end then sees no tail call before the jump to the one that
# is left. Other back ends undo that (CodeGenPrepare, for targets that say so). This does it in LLVM's text: a call before a
# jump to a block that only returns is followed by a return of its own.
/^define / { inside = 1; n = 0 }
!inside { print; next }
{ line[n++] = $0 }
/^}/ {
	inside = 0
	split("", returns)
	for (i = 0; i + 1 < n; i++)
		if (line[i] ~ /^[^ ;]+:/ && line[i + 1] ~ /^  ret void/) {
			name = line[i]
			sub(/:.*/, "", name)
			returns["%" name] = 1
		}
	for (i = 0; i < n; i++) {
		jump = line[i]
		if (i && line[i - 1] ~ /^  tail call / && jump ~ /^  br label %[^ ,]+/) {
			sub(/^  br label /, "", jump)
			sub(/,.*/, "", jump)
			if (jump in returns)
				line[i] = "  ret void"
		}
		print line[i]
	}
}
