# Checks the files of this set against its manifests: HASHES ONLY.
# It shows that nothing changed since the set was written. It cannot show who wrote it:
# that needs the signed metadata and a root you already trust (ferry media verify).
# Uses cmdlets and string methods only, so it also runs in constrained language mode.
#
#   powershell -ExecutionPolicy Bypass -File verify.ps1
#
# Exit code: 0 all hashes match, 1 something is missing, different or not listed.
param([string]$Set = $PSScriptRoot)

$bad = 0
$good = 0
$listed = @{}

foreach ($list in 'tagmanifest-sha256.txt', 'manifest-sha256.txt') {
    foreach ($line in Get-Content -LiteralPath (Join-Path -Path $Set -ChildPath $list) -Encoding UTF8 -ErrorAction Stop) {
        if ($line.Trim() -eq '') { continue }
        $expected, $name = $line -split '\s+', 2
        $listed[$name] = $true
        $file = Join-Path -Path $Set -ChildPath $name
        if (-not (Test-Path -LiteralPath $file -PathType Leaf)) {
            Write-Output "MISSING    $name"
            $bad++
        }
        elseif ((Get-FileHash -LiteralPath $file -Algorithm SHA256).Hash -ne $expected) {
            Write-Output "DIFFERENT  $name"
            $bad++
        }
        else {
            Write-Output "ok         $name"
            $good++
        }
    }
}

$data = Join-Path -Path $Set -ChildPath 'data'
$start = (Get-Item -LiteralPath $Set).FullName.TrimEnd('\', '/').Length + 1
foreach ($item in Get-ChildItem -LiteralPath $data -Recurse -File -Force) {
    $name = $item.FullName.Substring($start).Replace('\', '/')
    if (-not $listed.ContainsKey($name)) {
        Write-Output "NOT LISTED $name"
        $bad++
    }
}

if (-not (Test-Path -LiteralPath (Join-Path -Path $Set -ChildPath 'complete.json') -PathType Leaf)) {
    Write-Output 'UNFINISHED this set was never completed: complete.json is missing'
    $bad++
}

Write-Output ''
Write-Output "$good files match, $bad do not. Hashes only: this does not show who wrote the set."
if ($bad -gt 0) { exit 1 }
exit 0
