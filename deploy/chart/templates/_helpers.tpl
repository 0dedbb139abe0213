{{- define "tagalong.labels" -}}
app.kubernetes.io/name: tagalong
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "tagalong.selector" -}}
app.kubernetes.io/name: tagalong
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tagalong.name" -}}
{{- if contains "tagalong" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-tagalong{{ end -}}
{{- end -}}

{{- define "tagalong.config" -}}
{{ toYaml .Values.config }}
{{- end -}}
