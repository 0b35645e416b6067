@echo off
rem build.cmd -- every program with Microsoft's compiler, into build\msvc
rem
rem Run it in the "x64 Native Tools Command Prompt" of Visual Studio 2019 16.8
rem or later. It builds without tracing, as PLAIN=1 does: the macros that trace
rem need an extension of gcc and clang. See docs\building.md.
setlocal enabledelayedexpansion
cd /d "%~dp0"

where cl >nul 2>nul
if errorlevel 1 (
    echo build.cmd: there is no cl here: use the x64 Native Tools prompt
    exit /b 1
)
set out=build\msvc
set flags=/nologo /std:c11 /W3 /O2 /MT /guard:cf /I. /D_CRT_SECURE_NO_WARNINGS
set libs=ws2_32.lib user32.lib gdi32.lib advapi32.lib

if not exist %out%\bin mkdir %out%\bin
if not exist %out%\shared mkdir %out%\shared
set files=
for %%f in (common\*.c programs\harness\*.c) do set files=!files! %%f
cl %flags% /c /Fo%out%\shared\ !files!
if errorlevel 1 goto failed
set files=
for %%f in (common\*.c programs\harness\*.c) do set files=!files! %out%\shared\%%~nf.obj
lib /nologo /out:%out%\shared.lib !files!
if errorlevel 1 goto failed
rc /nologo /I. /fo %out%\page.res programs\compare\page.rc
if errorlevel 1 goto failed

for %%m in (select asyncselect eventselect overlapped_event overlapped_routine iocp) do (
    call :program %%m %%m
    if errorlevel 1 goto failed
)
for %%p in (blocking file_copy) do (
    call :program %%p extras\%%p
    if errorlevel 1 goto failed
)
call :program unit tests\unit
if errorlevel 1 goto failed
for %%p in (echo_client echo_load contract) do (
    call :program %%p programs\%%p
    if errorlevel 1 goto failed
)
call :program compare programs\compare %out%\page.res
if errorlevel 1 goto failed
echo build.cmd: all programs are in %out%\bin
exit /b 0

:failed
echo build.cmd: FAILED
exit /b 1

rem :program NAME FOLDER [RESOURCE]
:program
if not exist %out%\%1 mkdir %out%\%1
set files=
for %%f in (%2\*.c) do set files=!files! %%f
cl %flags% /Fo%out%\%1\ /Fe%out%\bin\%1.exe !files! %3 %out%\shared.lib /link /guard:cf %libs%
exit /b %errorlevel%
